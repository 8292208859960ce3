"""The OpenAPI document: Litestar describes the routes, msgspec the schemas, and this module completes both."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.plugins import OpenAPISchemaPlugin, ReceiveRoutePlugin
from litestar.routes import BaseRoute
from litestar.typing import FieldDefinition

from school_billing.platform.web.conditional import (
    IF_MATCH_HEADER,
    IF_NONE_MATCH_HEADER,
    TAGS_LENGTH_MOST,
    TAGS_PATTERN,
)
from school_billing.platform.web.errors import (
    PROBLEM_MEDIA_TYPE,
    ApiError,
    BodyTooLarge,
    FieldError,
    InvalidBody,
    InvalidParameter,
    MalformedBody,
    Problem,
    SlowBody,
    UnsupportedMediaType,
    error_classes,
    with_suffix,
)
from school_billing.platform.web.pages import TOTAL_COUNT_HEADER
from school_billing.platform.web.requests import query_parameters
from school_billing.platform.web.responses import WithETag
from school_billing.platform.web.types import Scalar, Text

_SUCCESSES = {200: "Done.", 201: "Added.", 204: "Deleted."}


def _header(description: str, **schema: object) -> dict[str, object]:
    return {"description": description, "schema": {"type": "string", **schema}}


def _request_header(name: str, description: str, **schema: object) -> dict[str, object]:
    # Without an example, because the docs page would send it with every request.
    return {"name": name, "in": "header", "required": False, **_header(description, **schema)}


_HEADERS = {
    "X-Request-Id": _header("The id of the request: the client's, or a new one. The log lines have it too."),
    "Location": _header("The path of the new resource.", format="uri-reference"),
    "Link": _header('The next page, as <...>; rel="next" (RFC 8288). The last page has no Link.'),
    "X-Next-Cursor": _header("The `cursor` of the next page, as in Link. The last page has none."),
    TOTAL_COUNT_HEADER: _header("The number of all items that the filters choose, if the request has count=true."),
    "Idempotency-Replayed": _header(
        '"true" if this is the stored answer of an earlier request with the same Idempotency-Key.'
    ),
    "ETag": _header(
        "The entity tag of this version (RFC 9110 section 8.8.3), for If-None-Match and If-Match. That of a compressed "
        "answer ends with -gzip.",
        pattern='^"[0-9a-f]+(-gzip)?"$',
    ),
    "Cache-Control": _header(
        '"private, no-cache": the client may keep the answer, and checks it with If-None-Match before each use.'
    ),
    "WWW-Authenticate": _header("How to authenticate (RFC 6750).", examples=['Bearer realm="school-billing"']),
    "Retry-After": _header("The number of seconds to wait before the next try.", pattern="^[0-9]+$"),
}
_HEADERS_OF_PARAMETER = {"cursor": ["Link", "X-Next-Cursor"], "count": [TOTAL_COUNT_HEADER]}
_HEADERS_OF_STATUS = {"401": ["WWW-Authenticate"], "429": ["Retry-After"], "503": ["Retry-After"]}

_IF_NONE_MATCH = _request_header(
    IF_NONE_MATCH_HEADER,
    "Entity tags of the versions that the client has. If one is current, the answer is 304 without a body.",
    maxLength=TAGS_LENGTH_MOST,
    pattern=TAGS_PATTERN,
)
_HEADER_OF_ERROR = {
    "precondition_failed": _request_header(
        IF_MATCH_HEADER,
        "Entity tags of the versions that may be changed, or *. If the current version is another, the answer is 412.",
        maxLength=TAGS_LENGTH_MOST,
        pattern=TAGS_PATTERN,
    ),
    "idempotency_key_reused": _request_header(
        "Idempotency-Key",
        "A request that is sent again within 24 hours, with the same key and body, creates nothing twice and gets the "
        "same answer.",
        minLength=1,
        maxLength=255,
        pattern="^[!-~]+$",
    ),
}
"""The request header that can cause an error, by the error's code."""

_NULL = {"type": "null"}


class ContractSchemas(OpenAPISchemaPlugin):
    """Refers to structs, enums and Scalars by name. `complete_document` adds their schemas.

    Args:
        examples: The example of each field by "Struct.field" or by its name alone. The example of a struct is made of
            those of its required fields, or it is here by the struct's name. An operation's name has the fields that
            differ in its answer.
    """

    def __init__(self, examples: Mapping[str, object]) -> None:
        self.examples = examples
        self.kinds: set[type] = set()

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Tell whether `value` is a struct, an enum or a Scalar."""
        return isinstance(value, type) and issubclass(value, msgspec.Struct | Enum | Scalar)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Any:
        """Return a reference to the schema."""
        kind = field_definition.annotation
        self.kinds.add(kind)
        if issubclass(kind, Scalar) and "contentSchema" in kind.schema:
            self.kinds.add(kind.schema["contentSchema"])
        registry = schema_creator.schema_registry
        registry.get_schema_for_field_definition(field_definition)
        return registry.get_reference_for_field_definition(field_definition)


class DocumentErrors(ReceiveRoutePlugin):
    """Describes the problem documents of each route.

    A route declares its own errors by `errors=`. The errors of its body and its parameters follow from the handler, and
    guards.py adds the errors of its access.
    """

    def receive_route(self, route: BaseRoute) -> None:
        """Add the errors of each handler of `route` to its responses."""
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.resolve_include_in_schema():
                handler.responses = {**_problems(handler), **_not_modified(handler), **(handler.responses or {})}


def _errors_of(handler: HTTPRouteHandler) -> Sequence[type[ApiError]]:
    errors: list[type[ApiError]] = [*handler.opt.get("errors", ())]
    if handler.parsed_data_field is not None:
        errors += [MalformedBody, SlowBody, BodyTooLarge, UnsupportedMediaType, InvalidBody]
    has_header = any(error.code in _HEADER_OF_ERROR for error in errors)
    if has_header or any("{" in path for path in handler.paths) or query_parameters(handler):
        errors.append(InvalidParameter)
    return errors


def _problems(handler: HTTPRouteHandler) -> Mapping[int, ResponseSpec]:
    sentences: dict[int, dict[str, str]] = {}
    for error in _errors_of(handler):
        sentences.setdefault(error.status, {})[error.code] = error.__doc__ or ""
    return {
        status: ResponseSpec(
            Problem,
            description="\n".join(f"- `{code}`: {sentence}" for code, sentence in sentences[status].items()),
            media_type=PROBLEM_MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted(sentences)
    }


def _not_modified(handler: HTTPRouteHandler) -> Mapping[int, ResponseSpec]:
    if "GET" in handler.http_methods and handler.parsed_fn_signature.return_type.is_subclass_of(WithETag):
        return {304: ResponseSpec(None, description="The client has the current version.")}
    return {}


def name_operation(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    """Return the handler's name, such as create_payment."""
    return handler.handler_name


def complete_document(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI document with the schemas and docstrings of structs, with headers and with examples."""
    document = app.openapi_schema.to_schema()
    contracts = app.plugins.get(ContractSchemas)
    errors = {
        handler.handler_name: _errors_of(handler)
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
    }
    used = {error.code for of_one in errors.values() for error in of_one}
    schemas = _schemas(contracts.kinds, contracts.examples)
    document["components"] |= {
        "schemas": schemas,
        "headers": _HEADERS,
        "examples": {code: {"value": _example_of(error)} for code, error in error_classes().items() if code in used},
    }
    document["paths"] = {with_suffix(path): found for path, found in document["paths"].items()}
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                _describe_operation(operation, errors[operation["operationId"]], schemas, contracts.examples)
    return document


def _schemas(kinds: AbstractSet[type], examples: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Return the schemas of `kinds`, and of the types of their fields, by name."""
    scalars: dict[str, dict[str, Any]] = {}

    def refer(kind: type[Scalar]) -> dict[str, Any]:
        if issubclass(kind, Text):  # A reference that may be null would need a choice.
            return {"description": inspect.getdoc(kind), **kind.schema}
        scalars[kind.__name__] = {"title": kind.__name__, "description": inspect.getdoc(kind), **kind.schema}
        if content := kind.schema.get("contentSchema"):
            scalars[kind.__name__]["contentSchema"] = {"$ref": f"#/components/schemas/{content.__name__}"}
        return {"$ref": f"#/components/schemas/{kind.__name__}"}

    _, schemas = msgspec.json.schema_components(kinds, schema_hook=refer, ref_template="#/components/schemas/{name}")
    schemas = {name: _plain(schema) for name, schema in schemas.items()}
    for struct in _structs(msgspec.Struct):
        if struct.__name__ not in schemas:
            continue
        properties = schemas[struct.__name__]["properties"]
        sentences = dict(sentence for base in reversed(struct.__mro__) for sentence in _field_sentences(base))
        for name, schema in properties.items():
            # openapi-typescript takes a field that has a default for a field that is always present.
            schema.pop("default", None)
            properties[name] = _plain(schema) | ({"description": sentences[name]} if name in sentences else {})
            if (key := f"{struct.__name__}.{name}") in examples or (key := name) in examples:
                properties[name]["examples"] = [examples[key]]
    for name in schemas.keys() & examples.keys():
        schemas[name]["examples"] = [examples[name]]
    schemas[Problem.__name__]["properties"]["code"]["enum"] = sorted(error_classes())
    return dict(sorted((schemas | scalars).items()))


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Write a choice of one schema as that schema, and a choice between a type and null as a type with null."""
    if "enum" in schema:  # All enums here are of text.
        return {"type": "string", **schema}
    for word in schema.keys() & {"allOf", "anyOf", "oneOf"}:
        others = {key: value for key, value in schema.items() if key != word}
        match [choice for choice in schema[word] if choice != _NULL]:
            case [one] if len(schema[word]) == 1:
                return {**one, **others}
            case [one] if "type" in one:
                return {**one, "type": [one["type"], "null"], **others}
    return schema


def _describe_operation(
    operation: dict[str, Any],
    errors: Sequence[type[ApiError]],
    schemas: Mapping[str, Any],
    examples: Mapping[str, object],
) -> None:
    # Swagger UI takes the absence of security for a route that may need a token.
    operation.setdefault("security", [])
    codes = {error.code for error in errors}
    responses = operation["responses"]
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        parameter["schema"] = _parameter_schema(parameter["schema"])
        if parameter["in"] == "path":
            parameter["description"] = f"The id of the {parameter['name'].removesuffix('_id')}."
        if parameter.get("required") and parameter["name"] in examples:
            parameter["example"] = examples[parameter["name"]]
    parameters += [header for code, header in _HEADER_OF_ERROR.items() if code in codes]
    parameters += [_IF_NONE_MATCH] if "304" in responses else []
    is_tagged = not {"201", "304", "412"}.isdisjoint(responses)
    names_of_answer = ["ETag", "Cache-Control"] if is_tagged else []
    for parameter in parameters:
        names_of_answer += _HEADERS_OF_PARAMETER.get(parameter["name"], ())
    for status, response in responses.items():
        names = ["X-Request-Id", *_HEADERS_OF_STATUS.get(status, ())]
        if int(status) in _SUCCESSES:
            response["description"] = _SUCCESSES[int(status)]
        if status == "201":
            names += ["Location", *names_of_answer]
            names += ["Idempotency-Replayed"] if "idempotency_key_reused" in codes else []
        elif status in {"200", "304"}:
            names += names_of_answer
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        for content in response.get("content", {}).values():
            if int(status) < 400 and "examples" not in content:
                example: Any = _example(content["schema"], schemas)
                differences: Any = examples.get(operation["operationId"])
                content["example"] = {**example, **differences} if differences else example
            elif int(status) >= 400:
                content["examples"] = {
                    error.code: {"$ref": f"#/components/examples/{error.code}"}
                    for error in errors
                    if error.status == int(status)
                }
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["example"] = _example(content["schema"], schemas)


def _parameter_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter without null, which no query can send, and with whole limits."""
    schema.pop("description", None)  # The parameter has it.
    if choices := [choice for choice in schema.pop("oneOf", ()) if choice != _NULL]:
        schema["oneOf"] = choices
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in _plain(schema).items()
    }


def _example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> object:
    """Return the example of a schema. That of a struct has the required fields."""
    example: object = None
    match schema:
        case {"examples": [example, *_]} | {"enum": [example, *_]}:
            pass
        case {"$ref": str(reference)}:
            example = _example(schemas[reference.rpartition("/")[2]], schemas)
        case {"anyOf": [one, *_]} | {"oneOf": [one, *_]}:
            example = _example(one, schemas)
        case {"contentSchema": line}:
            example = f"{msgspec.json.encode(_example(line, schemas)).decode()}\n"
        case {"items": items}:
            example = [_example(items, schemas)]
        case {"properties": properties, "required": required}:
            example = {name: _example(properties[name], schemas) for name in required}
    return example


def _example_of(error: type[ApiError]) -> dict[str, object]:
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.__doc__ or "",
        code=error.code,
        instance="/payments",
        request_id="7436109b-522f-49b8-ac98-603c473ea5af",
        errors=[FieldError("amount", "must be above zero")] if error in {InvalidBody, InvalidParameter} else [],
    )
    example: dict[str, object] = msgspec.to_builtins(problem)
    return example


def _structs(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for struct in base.__subclasses__():
        if struct.__module__.startswith("school_billing."):
            yield struct
        yield from _structs(struct)


def _field_sentences(struct: type) -> Iterator[tuple[str, str]]:
    """Yield each field that has a docstring, with the docstring. Only the source has it."""
    if not struct.__module__.startswith("school_billing."):
        return
    definition = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - the source of a class is a class.
    for pair in pairwise(definition.body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(sentence))):
                yield field, sentence

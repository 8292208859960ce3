"""The OpenAPI document: Litestar's document of the routes, completed with errors, headers and descriptions."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Schema
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
    InvalidBody,
    InvalidParameter,
    MalformedBody,
    Problem,
    SlowBody,
    UnsupportedMediaType,
)
from school_billing.platform.web.pages import TOTAL_COUNT_HEADER
from school_billing.platform.web.requests import query_parameters
from school_billing.platform.web.responses import WithETag
from school_billing.platform.web.types import Scalar, is_scalar

_SUCCESSES = {200: "Done.", 201: "Added.", 204: "Deleted."}


def _header(description: str, **schema: object) -> dict[str, object]:
    return {"description": description, "schema": {"type": "string", **schema}}


def _request_header(name: str, description: str, **schema: object) -> dict[str, object]:
    # Without an example, because the docs page would send it with every request.
    return {"name": name, "in": "header", "required": False, **_header(description, **schema)}


_LOCATION = _header("The path of the new resource.", format="uri-reference")
_LINK = _header('The next page, as <...>; rel="next" (RFC 8288). The last page has no Link.')
_TOTAL_COUNT = _header("The number of all items that the filters choose, if the request has count=true.")
_REPLAYED = _header('"true" if this is the stored answer of an earlier request with the same Idempotency-Key.')
_ETAG = _header(
    "The entity tag of this version (RFC 9110 section 8.8.3), for If-None-Match and If-Match.",
    pattern='^"[0-9a-f]+"$',
)
_CACHE_CONTROL = _header(
    '"private, no-cache": the client may keep the answer, and checks it with If-None-Match before each use.'
)
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


class ScalarSchemas(OpenAPISchemaPlugin):
    """Describes a Scalar by its name, its docstring and its schema."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Tell whether `value` is a Scalar."""
        return is_scalar(value)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: object) -> Schema:
        """Return the Scalar's schema."""
        kind: type[Scalar] = field_definition.annotation
        return _schema({"title": kind.__name__, "description": kind.__doc__, **kind.schema})


def _schema(definition: Mapping[str, Any]) -> Schema:
    alternatives = {
        name: [_schema(one) for one in definition[name]] for name in ("any_of", "one_of") if name in definition
    }
    return Schema(**{**definition, **alternatives})


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
        sentences.setdefault(error.status, {})[error.code] = inspect.getdoc(error) or ""
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
    """Return the OpenAPI document with the docstrings of structs and fields, and with the headers of responses."""
    document = app.openapi_schema.to_schema()
    codes = {
        handler.handler_name: {error.code for error in _errors_of(handler)}
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
    }
    structs = {struct.__name__: struct for struct in _structs(msgspec.Struct)}
    for name, schema in document["components"]["schemas"].items():
        if name in structs:
            _describe_schema(schema, structs[name])
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                _describe_operation(operation, codes[operation["operationId"]])
    return document


def _describe_schema(schema: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    schema.setdefault("description", inspect.cleandoc(struct.__doc__ or ""))
    if struct.__struct_config__.forbid_unknown_fields:
        schema["additionalProperties"] = False
    for base in struct.__mro__:
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            for field, sentence in _field_sentences(base):
                schema["properties"].get(field, {}).setdefault("description", sentence)


def _describe_operation(operation: dict[str, Any], codes: AbstractSet[str]) -> None:
    responses = operation["responses"]
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter["description"] = f"The id of the {parameter['name'].removesuffix('_id')}."
    headers = [header for code, header in _HEADER_OF_ERROR.items() if code in codes]
    headers += [_IF_NONE_MATCH] if "304" in responses else []
    if headers:
        operation["parameters"] = [*operation.get("parameters", []), *headers]
    is_tagged = not {"201", "304", "412"}.isdisjoint(responses)
    headers_of_answer: dict[str, object] = {"ETag": _ETAG, "Cache-Control": _CACHE_CONTROL} if is_tagged else {}
    if any(parameter["name"] == "cursor" for parameter in operation.get("parameters", [])):
        headers_of_answer["Link"] = _LINK
    if any(parameter["name"] == "count" for parameter in operation.get("parameters", [])):
        headers_of_answer[TOTAL_COUNT_HEADER] = _TOTAL_COUNT
    for status, response in responses.items():
        if int(status) in _SUCCESSES:
            response["description"] = _SUCCESSES[int(status)]
        if status == "201":
            replayed = {"Idempotency-Replayed": _REPLAYED} if "idempotency_key_reused" in codes else {}
            response["headers"] = {"Location": _LOCATION, **headers_of_answer, **replayed}
        elif status in {"200", "304"} and headers_of_answer:
            response["headers"] = headers_of_answer


def _structs(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for struct in base.__subclasses__():
        if struct.__module__.startswith("school_billing."):
            yield struct
        yield from _structs(struct)


def _field_sentences(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Yield each field that has a docstring, with the docstring. Only the source has it."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - the source of a class is a class.
    for pair in pairwise(definition.body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(sentence))):
                yield field, sentence

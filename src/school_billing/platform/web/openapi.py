"""The OpenAPI document: what Litestar makes of the routes, completed with what it leaves out."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
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
from school_billing.platform.web.errors import PROBLEM_MEDIA_TYPE, Problem
from school_billing.platform.web.responses import WithETag
from school_billing.platform.web.types import Scalar, is_scalar

_ERRORS = {
    400: "The request is not JSON, or a parameter is not valid.",
    401: "There is no valid access token.",
    403: "The caller's role does not allow this.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "The change does not fit the present state.",
    412: "It is of another version than If-Match names.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "The body breaks a rule; `errors` names the fields.",
    429: "Too many log-ins failed; Retry-After says for how many seconds to wait.",
    503: "The database is not available at the moment.",
}
_SUCCESSES = {200: "Done.", 201: "Added.", 204: "Deleted."}
_NOT_MODIFIED = "It is what If-None-Match names."

_LOCATION = {"description": "Where it can be found.", "schema": {"type": "string", "format": "uri-reference"}}
_LINK = {
    "description": 'The next page, as <...>; rel="next" (RFC 8288); absent on the last.',
    "schema": {"type": "string"},
}
_REPLAYED = {
    "description": '"true" where this is the stored answer of an earlier request with the same Idempotency-Key.',
    "schema": {"type": "string"},
}
_ETAG = {
    "description": "The entity tag of this version (RFC 9110 section 8.8.3), for If-None-Match and If-Match.",
    "schema": {"type": "string", "pattern": '^"[0-9a-f]+"$'},
}
_CACHE_CONTROL = {
    "description": '"private, no-cache": the caller may keep it, and asks with If-None-Match whether it still holds.',
    "schema": {"type": "string"},
}
_TAGS_SCHEMA = {"type": "string", "maxLength": TAGS_LENGTH_MOST, "pattern": TAGS_PATTERN}
# Both without an example, for the same reason as Idempotency-Key.
_IF_NONE_MATCH = {
    "name": IF_NONE_MATCH_HEADER,
    "in": "header",
    "required": False,
    "description": "Entity tags of what the caller has; 304 without a body if one of them is still right.",
    "schema": _TAGS_SCHEMA,
}
_IF_MATCH = {
    "name": IF_MATCH_HEADER,
    "in": "header",
    "required": False,
    "description": "Entity tags of the versions that the change is meant for, or *; 412 if somebody changed it since.",
    "schema": _TAGS_SCHEMA,
}
# Without an example: the docs page would send it with every try, and the second body would be a 422.
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again within 24 hours with the same body, the request makes nothing twice and gets the "
    "same answer; with another body it is a 422, and a 409 while the first is still being answered.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


class ScalarSchemas(OpenAPISchemaPlugin):
    """Shows a Scalar by its name, its docstring and its schema."""

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
    """Describes the problem documents that a route can answer with, so that no route has to."""

    def receive_route(self, route: BaseRoute) -> None:
        """Add the errors of each handler of `route` to its responses."""
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.resolve_include_in_schema():
                handler.responses = {**_errors_of(handler), **_not_modified(handler), **(handler.responses or {})}


def _errors_of(handler: HTTPRouteHandler) -> Mapping[int, ResponseSpec]:
    takes = set(handler.parsed_fn_signature.parameters)
    has_id = any("{" in path for path in handler.paths)
    statuses = set[int]()
    if takes & {"caller", "login_service", "health_checks"}:
        statuses |= {503}
    if "caller" in takes:
        statuses |= {401, 403}
    if "page" in takes:
        statuses |= {400}
    if has_id:
        statuses |= {400, 404}
    if "data" in takes:
        statuses |= {400, 401, 404, 408, 409, 413, 415, 422}
    if takes >= {"login_service", "request"}:
        statuses |= {429}
    if "DELETE" in handler.http_methods:
        statuses |= {409}
    if "if_match" in takes:
        statuses |= {400, 412}
    return {
        status: ResponseSpec(
            Problem,
            description=_ERRORS[status],
            media_type=PROBLEM_MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted(statuses)
    }


def _not_modified(handler: HTTPRouteHandler) -> Mapping[int, ResponseSpec]:
    if "GET" in handler.http_methods and handler.parsed_fn_signature.return_type.is_subclass_of(WithETag):
        return {304: ResponseSpec(None, description=_NOT_MODIFIED)}
    return {}


def name_operation(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    """Return the handler's name, such as create_payment, as the operation's id."""
    return handler.handler_name


def complete_document(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI document with the docstrings of structs and fields, and with the headers of responses."""
    document = app.openapi_schema.to_schema()
    without_key = {
        handler.handler_name
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if not handler.opt.get("takes_idempotency_key", True)
    }
    structs = {struct.__name__: struct for struct in _structs(msgspec.Struct)}
    for name, schema in document["components"]["schemas"].items():
        if name in structs:
            _describe_schema(schema, structs[name])
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                _describe_operation(operation, takes_key=operation["operationId"] not in without_key)
    return document


def _describe_schema(schema: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    schema.setdefault("description", inspect.cleandoc(struct.__doc__ or ""))
    if struct.__struct_config__.forbid_unknown_fields:
        schema["additionalProperties"] = False
    for base in struct.__mro__:
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            for field, sentence in _field_sentences(base):
                schema["properties"].get(field, {}).setdefault("description", sentence)


def _describe_operation(operation: dict[str, Any], *, takes_key: bool) -> None:
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path":
            parameter["description"] = f"The id of the {parameter['name'].removesuffix('_id')}."
    responses = operation["responses"]
    conditions = {"304": _IF_NONE_MATCH, "412": _IF_MATCH} | ({"201": _IDEMPOTENCY_KEY} if takes_key else {})
    headers = [parameter for status, parameter in conditions.items() if status in responses]
    if headers:
        operation["parameters"] = [*parameters, *headers]
    is_tagged = not {"201", "304", "412"}.isdisjoint(responses)
    tag_headers = {"ETag": _ETAG, "Cache-Control": _CACHE_CONTROL} if is_tagged else {}
    link_headers = {"Link": _LINK} if any(parameter["name"] == "cursor" for parameter in parameters) else {}
    for status, response in responses.items():
        if int(status) in _SUCCESSES:
            response["description"] = _SUCCESSES[int(status)]
        if status == "201":
            response["headers"] = {"Location": _LOCATION, **tag_headers}
            if takes_key:
                response["headers"]["Idempotency-Replayed"] = _REPLAYED
        elif status in {"200", "304"} and (tag_headers or link_headers):
            response["headers"] = tag_headers | link_headers


def _structs(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for struct in base.__subclasses__():
        if struct.__module__.startswith("school_billing."):
            yield struct
        yield from _structs(struct)


def _field_sentences(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Yield the fields that have a docstring below them, and it: Python itself does not keep it."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - the source of a class is a class.
    for statement, follower in pairwise(definition.body):
        match statement, follower:
            case (
                ast.AnnAssign(target=ast.Name(id=field)),
                ast.Expr(value=ast.Constant(value=str(sentence))),
            ):
                yield field, sentence

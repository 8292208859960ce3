"""What happens to a request before its handler.

1. The wrapper around the application gives the request an id (observability/middleware.py calls `choose_request_id`).
2. Litestar finds the route, then takes the steps that app.py lists: the guard (auth/guards.py),
   `refuse_unknown_parameters`, `read_idempotency_key` (idempotency.py), `answer_options`.
3. Litestar reads the parameters, the page (pages.py), If-Match (conditional.py) and the body (json_body.py).
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any, TypeAlias, TypeVar, cast, get_args

import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute
from msgspec.inspect import type_info

from school_billing.platform.web.errors import (
    FieldError,
    InvalidParameter,
    MalformedBody,
    Problem,
    allow_header,
    answer_error,
)
from school_billing.platform.web.types import rule_of

AnyRequest: TypeAlias = Request[Any, Any, Any]
Result = TypeVar("Result")
Step: TypeAlias = Callable[[AnyRequest], Awaitable[Response[None] | None]]

REQUEST_ID_HEADER = "X-Request-Id"
IS_HEAD = "school_billing.is_head"
"""The scope key of a GET that was sent as HEAD, so that no handler makes a long body for it."""

VARIES_BY = "school_billing.varies_by"
"""The scope key of the request header by which the answer varies. Litestar's CORS would replace a header Vary."""

# Long enough for a UUID or a trace id with a prefix, without characters that could forge a log line or a header.
_HARMLESS_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

# A weight of 0 refuses it.
_GZIP = re.compile(r"\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)[0-9.]+\s*)?")


def choose_request_id(offered: bytes | None) -> str:
    """Return the client's id if it is 1 to 128 harmless ASCII characters, else a new UUID (RFC 9562, version 4).

    uuid.uuid4() reads random bytes from the kernel each time, which takes four times as long.
    """
    if offered is not None and _HARMLESS_ID.fullmatch(offered):
        return offered.decode("ascii")
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def before_request(*steps: Step) -> Step:
    """Make Litestar's before_request of `steps`. The first step that returns an answer, or raises, is the last.

    The guard is a step as well: for its own guards Litestar copies the handler with every request, and a middleware
    would add a second layer of exception handlers. A handler must not have its own before_request or cache, because it
    would replace or precede these steps. A test checks all handlers.
    """

    async def take_steps(request: AnyRequest) -> Response[None] | None:
        for step in steps:
            answer = await step(request)
            if answer is not None:
                return answer
        return None

    return take_steps


def provide_in_turn(app: Litestar) -> None:
    """Provide the dependencies of each handler one after the other.

    Litestar starts a task for each dependency, so that they can wait at the same time. No dependency here waits, and a
    task costs more than the dependency itself.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, arguments in route.route_handler_map.values():
                arguments.dependency_batches = [{one} for batch in arguments.dependency_batches for one in batch]


async def answer_options(request: AnyRequest) -> Response[None] | None:
    """Answer OPTIONS with every method of the path (RFC 9110 section 9.3.7). Litestar lists those of one handler."""
    if request.method != "OPTIONS":
        return None
    template = request.scope["path_template"]
    methods = {method for route in request.app.routes if route.path_format == template for method in route.methods}
    return Response(None, status_code=204, headers={"Allow": allow_header(methods)})


async def refuse_unknown_parameters(request: AnyRequest) -> None:
    """Accept only documented query parameters, each once, because an ignored filter would show too much."""
    if not request.scope["query_string"]:
        return
    handler = request.route_handler
    if "caller" not in handler.parsed_fn_signature.parameters:
        return
    errors = []
    seen = set[str]()
    parameters = query_parameters(handler)
    for name, value in request.query_params.multi_items():
        if name not in parameters:
            errors.append(FieldError(name, "is not a parameter of this route"))
        elif name in seen:
            errors.append(FieldError(name, "comes twice; send it once"))
        elif value.lower() == "null" and not parameters[name]:  # Litestar would read it as an absent parameter.
            errors.append(FieldError(name, "must have a value; leave the parameter out to get all"))
        elif "\x00" in value:
            errors.append(FieldError(name, "must be text without a NUL character"))
        seen.add(name)
    if errors:
        raise InvalidParameter(*errors)


def answer_invalid_parameters(request: AnyRequest, error: ValidationException) -> Response[Problem]:
    """Say of each parameter that Litestar refused what it must be."""
    handler = request.route_handler
    models = [handler.signature_model, *(one.signature_model for one in handler.resolve_dependencies().values())]
    kinds = {field.name: field.type for model in models for field in msgspec.structs.fields(model)}
    errors = []
    for entry in cast("list[dict[str, str]]", error.extra or []):
        name, message = entry["key"], entry["message"]
        if name == "data":
            return answer_error(request, MalformedBody("The body is empty. Send JSON."))
        # A Scalar says itself what it must be, or what it has that it must not have.
        is_rule = message.startswith(("must ", "has "))
        rule = message if is_rule else rule_of(type_info(kinds[name])).removesuffix(", or null")
        # The key is the argument of the handler. It ends with a _ if the parameter's name is a keyword of Python.
        errors.append(FieldError(name.removesuffix("_"), rule))
    if missing := re.search(r"^Missing required query parameter '(\w+)'", error.detail):
        errors.append(FieldError(missing[1], "is required"))
    return answer_error(request, InvalidParameter(*errors))


@cache
def query_parameters(handler: BaseRouteHandler) -> dict[str, bool]:
    """Return the query parameters of the handler and its dependencies, and whether each one is text."""
    own = handler.parsed_fn_signature.parameters
    providers = handler.resolve_dependencies()
    signatures = [own, *(providers[name].parsed_fn_signature.parameters for name in own if name in providers)]
    return {
        field.kwarg_definition.name or name: str in (field.annotation, *get_args(field.annotation))
        for parameters in signatures
        for name, field in parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    }


def header_values(request: AnyRequest, name: bytes) -> list[str]:
    """Return the values of the header with this lower-case name. request.headers would decode all headers."""
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]


def accepts_gzip(request: AnyRequest) -> bool:
    """Tell whether the client accepts a body that is compressed with gzip (RFC 9110 section 12.5.3)."""
    codings = ",".join(header_values(request, b"accept-encoding")).lower()
    return any(map(_GZIP.fullmatch, codings.split(",")))


class ClientLeft(Exception):
    """The client left before it had an answer, so the work for it was given up."""


async def while_connected(request: AnyRequest, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`. If the client leaves before, cancel the work and raise ClientLeft.

    This is for work that reads and takes long. A request without a body is expected.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_until_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeft
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})


async def _until_left(request: AnyRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

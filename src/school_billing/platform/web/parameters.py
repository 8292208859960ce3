"""Query parameters: what would be overlooked is refused, for a filter that is not applied shows too much."""

from functools import cache
from typing import Any, get_args

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from school_billing.platform.web.problems import FieldError, InvalidParameter


async def refuse_strange_parameters(request: Request[Any, Any, Any]) -> None:
    """Be a step before the handler: let only documented query parameters through, each of them once.

    Raises:
        InvalidParameter: One is not known, comes twice, is "null" (which Litestar takes for "not given") or has
            a NUL in it; it is named.
    """
    if not request.scope["query_string"]:
        return
    handler = request.route_handler
    if "caller" not in handler.parsed_fn_signature.parameters:
        return
    errors = []
    seen = set[str]()
    known = _text_by_parameter(handler)
    for name, value in request.query_params.multi_items():
        if name not in known:
            errors.append(FieldError(name, "This parameter is not known here"))
        elif name in seen:
            errors.append(FieldError(name, "This parameter comes twice"))
        elif value.lower() == "null" and not known[name]:
            errors.append(FieldError(name, "Expected a value; leave the parameter out for any"))
        elif "\x00" in value:
            errors.append(FieldError(name, "Expected text without a NUL character"))
        seen.add(name)
    if errors:
        raise InvalidParameter("; ".join(f"{error.field}: {error.message}" for error in errors) + ".", errors)


@cache
def _text_by_parameter(handler: BaseRouteHandler) -> dict[str, bool]:
    """Return the query parameters of the handler and of its dependencies, and whether each is text."""
    takes = handler.parsed_fn_signature.parameters
    providers = handler.resolve_dependencies()
    signatures = [takes, *(providers[name].parsed_fn_signature.parameters for name in takes if name in providers)]
    return {
        field.kwarg_definition.name or name: str in (field.annotation, *get_args(field.annotation))
        for parameters in signatures
        for name, field in parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    }

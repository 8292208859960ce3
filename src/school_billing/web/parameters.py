"""Query parameters: one that is misspelt is refused, for a filter that is not applied shows too much."""

from functools import cache
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition

from school_billing.web.problems import FieldError, InvalidParameter


def refuse_unknown_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Be Litestar's guard that lets only documented query parameters through.

    Raises:
        InvalidParameter: One is not known to the route; it is named.
    """
    if not connection.scope["query_string"]:
        return
    unknown = [name for name in connection.query_params if name not in _known_parameters(handler)]
    if unknown:
        raise InvalidParameter(
            f"{', '.join(unknown)}: not known here.",
            [FieldError(name, "This parameter is not known here") for name in unknown],
        )


@cache
def _known_parameters(handler: BaseRouteHandler) -> frozenset[str]:
    takes = handler.parsed_fn_signature.parameters
    providers = handler.resolve_dependencies()
    return frozenset(
        name
        for parameters in (
            takes,
            *(providers[name].parsed_fn_signature.parameters for name in takes if name in providers),
        )
        for name, field in parameters.items()
        if _is_query_parameter(field)
    )


def _is_query_parameter(field: FieldDefinition) -> bool:
    return isinstance(field.kwarg_definition, QueryParameter)

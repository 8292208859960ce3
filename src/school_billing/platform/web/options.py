"""OPTIONS: what a path takes (RFC 9110 section 9.3.7), for everybody."""

from collections.abc import Set as AbstractSet
from typing import Any

from litestar import Request, Response


def allow_header(methods: AbstractSet[str]) -> str:
    """Return the Allow header of a path that has handlers for `methods`: HEAD is answered wherever GET is."""
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def answer_options(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Be a step before the handler: answer OPTIONS with every method of the path.

    Litestar answers with those of one handler alone where several handlers share a path.
    """
    if request.method != "OPTIONS":
        return None
    template = request.scope["path_template"]
    methods = {method for route in request.app.routes if route.path_format == template for method in route.methods}
    return Response(None, status_code=204, headers={"Allow": allow_header(methods)})

"""OPTIONS: what a path takes (RFC 9110 section 9.3.7), for everybody."""

from typing import Any

from litestar import Request, Response


def answer_options(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Be Litestar's before_request: answer OPTIONS with every method of the path.

    Litestar answers with those of one handler alone where several handlers share a path.
    """
    if request.method != "OPTIONS":
        return None
    template = request.scope["path_template"]
    methods = {method for route in request.app.routes if route.path_format == template for method in route.methods}
    if "GET" in methods:
        methods.add("HEAD")
    return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(methods))})

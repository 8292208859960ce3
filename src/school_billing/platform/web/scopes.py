"""What a scope of ASGI says of a request, besides what the framework makes of it."""

from typing import Any
from urllib.parse import quote

from litestar import Request

IS_HEAD = "school_billing.is_head"
"""The key by which a scope says that GET stands for HEAD, so that nobody makes a long body for it."""

PROBLEM_CODE = "school_billing.problem_code"
"""The key by which a scope keeps the code of the problem that was the answer."""

IS_ANSWERED = "school_billing.is_answered"
"""The key that a scope has from the moment on in which its answer has begun."""

BUG = "school_billing.bug"
"""The key by which a scope keeps the exception that nobody had foreseen."""

_SAFE_IN_PATHS = "/:@!$&'()*+,;=~"  # RFC 3986 section 3.3.


def path_of(request: Request[Any, Any, Any]) -> str:
    """Return the path, encoded. request.url has it too, but is made of the Host header, which can be any nonsense."""
    return quote(request.scope["path"], safe=_SAFE_IN_PATHS)


def header_values(request: Request[Any, Any, Any], name: bytes) -> list[str]:
    """Return the values of the header of that lower-case name, one for each time that it came.

    request.headers has them too, but decodes every header of the request to answer for one.
    """
    return [value.decode("latin-1") for key, value in request.scope["headers"] if key == name]

"""The id of a request: taken from the caller when it is sane, made here otherwise."""

import re
from uuid import uuid4

REQUEST_ID_HEADER = "X-Request-Id"

# Long enough for a UUID or a trace id with a prefix; nothing that could forge a log line or a header.
_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def choose_request_id(offered: bytes | None) -> str:
    """Return the caller's id if it is 1 to 128 harmless ASCII characters, else a new UUID."""
    if offered is not None and _SANE.fullmatch(offered):
        return offered.decode("ascii")
    return str(uuid4())

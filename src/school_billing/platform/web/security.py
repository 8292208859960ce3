"""Response headers that tell browsers what not to do, and which other origins may call."""

from collections.abc import Sequence

from litestar.config.cors import CORSConfig

# The API's answers are no pages; /docs is one, and all that it needs comes from here. Swagger UI sets styles by script,
# and its pictures are data: URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# Two years; browsers obey it over https alone (RFC 6797 section 8.1).
_PRODUCTION = {"strict-transport-security": "max-age=63072000; includeSubDomains"}


def security_headers(*, in_production: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of every response, as ASGI has them."""
    headers = _ALWAYS | (_PRODUCTION if in_production else {})
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def cors_config(origins: Sequence[str]) -> CORSConfig | None:
    """Let pages of `origins` call the API with a token, and read the headers that it answers with; None for none.

    Cookies play no part, so "credentials" stay off and "*" is safe to say.
    """
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
            "X-Request-Id",
            "traceparent",
            "tracestate",
        ],
        expose_headers=[
            "ETag",
            "Idempotency-Replayed",
            "Link",
            "Location",
            "Retry-After",
            "X-Request-Id",
            "traceresponse",
        ],
        max_age=600,
    )

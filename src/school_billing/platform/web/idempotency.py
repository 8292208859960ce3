"""Idempotency-Key: a POST that is sent again makes nothing twice (draft-ietf-httpapi-idempotency-key-header).

What the key was used for is kept by the statement that does the work; here the header is read, and a request
that was answered before gets the same answer again.
"""

import hashlib
import re
from functools import partial
from typing import Any

from litestar import Request, Response

from school_billing.platform.database.context import context
from school_billing.platform.database.errors import IdempotencyKeyUsed
from school_billing.platform.web.problems import (
    Conflict,
    FieldError,
    InvalidBody,
    InvalidParameter,
    Meanings,
    answer_error,
)
from school_billing.platform.web.responses import created
from school_billing.platform.web.scalars import exact_decoder
from school_billing.platform.web.scopes import header_values, path_of

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class IdempotencyKeyReused(InvalidBody):
    """This Idempotency-Key was used with another body. Use a new key for a new request."""

    code = "idempotency_key_reused"


class IdempotencyKeyUsedBefore(Conflict):
    """This Idempotency-Key was used before."""

    code = "idempotency_key_used"


class IdempotencyKeyInFlight(Conflict):
    """Another request with this Idempotency-Key is being answered. Try again in a moment."""

    code = "idempotency_key_in_flight"


_LENGTH = "A key has 1 to 255 characters."

MEANINGS: Meanings = {
    "idempotency_key_in_flight": IdempotencyKeyInFlight,
    "idempotency_keys_pkey": IdempotencyKeyUsedBefore,
    "idempotency_keys_key_length": partial(InvalidParameter, _LENGTH, [FieldError(IDEMPOTENCY_KEY_HEADER, _LENGTH)]),
}


def note_idempotency_key(request: Request[Any, Any, Any], body: bytes) -> None:
    """Tell the queries of this request its key, if it has one.

    Raises:
        InvalidParameter: The key is empty, longer than 255 characters, or not printable ASCII.
    """
    keys = header_values(request, b"idempotency-key")
    if not keys:
        return
    key = keys[0]
    if not _KEY.fullmatch(key):
        message = "Expected 1 to 255 printable ASCII characters"
        raise InvalidParameter(f"{IDEMPOTENCY_KEY_HEADER}: {message}.", [FieldError(IDEMPOTENCY_KEY_HEADER, message)])
    known = context()
    known.idempotency_scope = f"{known.actor} {known.actor_school} {request.method} {path_of(request).rstrip('/')}"
    known.idempotency_key = key
    known.fingerprint = hashlib.sha256(body).digest()


def on_used_key(request: Request[Any, Any, Any], error: IdempotencyKeyUsed) -> Response[Any]:
    """Answer as the first request with this key was answered; 422 if that had another body."""
    if not error.same_body:
        return answer_error(request, IdempotencyKeyReused())
    contract: Any = error.query.returns
    made = exact_decoder(contract).decode(error.answer)
    response = created(made, f"{path_of(request).rstrip('/')}/{made.id}")
    response.headers[REPLAYED_HEADER] = "true"
    return response

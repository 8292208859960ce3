"""Idempotency-Key: a POST that is sent again creates nothing twice (draft-ietf-httpapi-idempotency-key-header).

1. `read_idempotency_key`, a step before the handler, notes the key and the hash of the body.
2. The create statement takes the key as `:request_idempotency_...` and stores the new row under the key.
3. If the key was used before, `once` looks up the stored row, and `replay` answers with it again.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, get_origin

import msgspec
from litestar import Request, Response

from school_billing.platform.database.context import context
from school_billing.platform.database.errors import ConstraintViolated
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import AnyQuery, Query
from school_billing.platform.web.errors import (
    Conflict,
    ConstraintErrors,
    FieldError,
    InvalidBody,
    InvalidParameter,
    answer_error,
    path_of,
)
from school_billing.platform.web.json_body import exact_decoder
from school_billing.platform.web.requests import header_values
from school_billing.platform.web.responses import created
from school_billing.platform.web.types import decode_scalar

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_INVALID_KEY = FieldError(IDEMPOTENCY_KEY_HEADER, "must be one key of 1 to 255 printable ASCII characters")


class Remembered(msgspec.Struct, frozen=True):
    """The first use of a key: the SHA-256 of the request's body, and the row that the request created."""

    fingerprint: bytes
    answer: msgspec.Raw


FIND_KEY = Query("idempotency/find", Remembered)


class IdempotencyKeyReused(InvalidBody):
    """This Idempotency-Key was used with another body. Use a new key for a new request."""

    code = "idempotency_key_reused"


class IdempotencyKeyInFlight(Conflict):
    """Another request with this Idempotency-Key is being answered. Try again in a moment."""

    code = "idempotency_key_in_flight"


class IdempotencyAnswerOutdated(Conflict):
    """An earlier version of the service answered this Idempotency-Key. GET what it created: its id is in `id`."""

    code = "idempotency_answer_outdated"


CONSTRAINT_ERRORS: ConstraintErrors = {
    "idempotency_key_in_flight": IdempotencyKeyInFlight,
    "idempotency_keys_pkey": IdempotencyKeyInFlight,
    "idempotency_keys_key_length": partial(InvalidParameter, _INVALID_KEY),
}


class KeyUsed(Exception):
    """The key was used before. The earlier use is in `remembered`, and this request created nothing."""

    def __init__(self, query: AnyQuery, remembered: Remembered) -> None:
        super().__init__(query.name)
        self.query = query
        self.remembered = remembered


async def read_idempotency_key(request: Request[Any, Any, Any]) -> None:
    """Put the key of a POST into the request's context, where the create statement finds it."""
    if request.method != "POST" or not (keys := header_values(request, b"idempotency-key")):
        return
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidParameter(_INVALID_KEY)
    current = context()
    # The same key of another user, school or path is another key.
    current.idempotency_scope = f"{current.actor} {current.actor_school} POST {path_of(request).rstrip('/')}"
    current.idempotency_key = keys[0]
    current.fingerprint = hashlib.sha256(await request.body()).digest()


@asynccontextmanager
async def once(database: Database) -> AsyncIterator[None]:
    """Wrap a create statement, and raise KeyUsed if the request's key was used before."""
    try:
        yield
    except ConstraintViolated as error:
        if error.constraint != "idempotency_keys_pkey":
            raise
        remembered = await database.one_or_none(FIND_KEY)
        if remembered is None:  # The key expired after the create statement.
            raise
        raise KeyUsed(error.query, remembered) from error


def replay(request: Request[Any, Any, Any], used: KeyUsed) -> Response[Any]:
    """Repeat the answer of the first request with this key, or answer 422 if the bodies differ."""
    if used.remembered.fingerprint != context().fingerprint:
        return answer_error(request, IdempotencyKeyReused())
    contract: Any = used.query.returns
    # An earlier version of the service may have stored the answer without the fields of today.
    absent: dict[str, Any] = {
        field.encode_name: [] if get_origin(field.type) is list else None for field in msgspec.structs.fields(contract)
    }
    answer = exact_decoder(dict[str, Any]).decode(used.remembered.answer)
    try:
        row = msgspec.convert(absent | answer, contract, dec_hook=decode_scalar)
    except msgspec.ValidationError:
        return answer_error(request, IdempotencyAnswerOutdated(figures={"id": answer["id"]}))
    # An action on a thing, such as /invoices/{id}/credit-notes, may answer with a thing of another kind.
    noun = re.sub(r"\B(?=[A-Z])", "-", contract.__name__).lower()  # BillingRun is at /billing-runs.
    response = created(row, f"/{noun}s/{row.id}")
    response.headers[REPLAYED_HEADER] = "true"
    return response

"""Bodies: JSON is decoded once, directly into the handler's struct. An error lists every wrong field."""

import asyncio
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request
from msgspec import UNSET, UnsetType

from school_billing.platform.web.errors import FieldError, InvalidBody, MalformedBody, SlowBody, UnsupportedMediaType
from school_billing.platform.web.requests import header_values
from school_billing.platform.web.types import PATTERN_SENTENCES, decode_scalar

Contract = TypeVar("Contract")
Value = TypeVar("Value")

_ERRORS_MOST = 100  # A body can have a hundred thousand wrong fields.

BODY_SECONDS = 30
"""A body may take this long to arrive, because its sender holds a connection."""


class ContractRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded into the type of the handler's `data`.

    Litestar decodes in two steps: to dicts with floats, then to the struct without strict types ("5" becomes 5). This
    class decodes in one strict step, and numbers keep their digits.
    """

    _received: bytes | None = None

    async def body(self) -> bytes:
        """Return the bytes of the body. Raise SlowBody if they do not arrive within BODY_SECONDS."""
        if self._received is None:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    self._received = await super().body()
            except TimeoutError:
                raise SlowBody from None
        return self._received

    async def json(self) -> Any:
        """Return the body as the struct of the handler's `data`."""
        content_types = header_values(self, b"content-type") or ["application/json"]
        media_type = content_types[0].partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise UnsupportedMediaType
        if any(value.strip().lower() != "identity" for value in header_values(self, b"content-encoding")):
            raise UnsupportedMediaType("Send the body without a Content-Encoding.")
        body = await self.body()
        field = self.route_handler.parsed_data_field
        return decode(body, field.annotation if field is not None else Any)


@cache
def exact_decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    """Return the strict JSON decoder of `kind`, in which numbers keep their digits."""
    # A scalar is decoded untyped first. float_hook receives the digits of a number, so no float is ever made.
    return msgspec.json.Decoder(kind, dec_hook=decode_scalar, float_hook=Decimal)


def decode(body: bytes, contract: type[Contract]) -> Contract:
    """Decode a JSON `body` into the struct `contract`.

    Raises:
        MalformedBody: The body is not JSON.
        InvalidBody: The body breaks a rule of the contract. The error lists every wrong field.
    """
    try:
        decoded: Contract = exact_decoder(cast("Any", contract)).decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBody(errors=_field_errors(body, contract, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody from None
    return decoded


def _field_errors(body: bytes, contract: Any, first: msgspec.ValidationError) -> list[FieldError]:
    """List every wrong field. msgspec itself stops at the first one."""
    try:
        values = exact_decoder(Any).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The JSON is malformed after the first wrong field.
        raise MalformedBody from None
    if not isinstance(values, dict):
        return [_field_error("", first)]
    fields = {field.encode_name: field for field in msgspec.structs.fields(contract)}
    errors = [FieldError(name, "This field is not known here") for name in values if name not in fields]
    for name, field in fields.items():
        if name not in values:
            if field.required:
                errors.append(FieldError(name, "This field is required"))
            continue
        try:
            msgspec.convert(values[name], field.type, dec_hook=decode_scalar)
        except msgspec.ValidationError as error:
            errors.append(_field_error(name, error))
    return errors[:_ERRORS_MOST] or [_field_error("", first)]


def _field_error(name: str, error: msgspec.ValidationError) -> FieldError:
    message, _, path = str(error).partition(" - at `$")
    for pattern, sentence in PATTERN_SENTENCES.items():
        if repr(pattern) in message:
            message = sentence
    return FieldError(name + path.rstrip("`"), message.replace("`", ""))


def set_or_none(value: Value | UnsetType) -> Value | None:
    """Return the value of a field in the body of a PATCH, or None if the body lacks the field."""
    return None if value is UNSET else value


def is_given(value: object) -> bool:
    """Tell whether the body of a PATCH has the field, even with the value null, which clears a column."""
    return value is not UNSET

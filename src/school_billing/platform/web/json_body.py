"""Bodies: JSON is decoded once, directly into the handler's struct. An error lists every wrong field."""

import asyncio
import re
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request
from msgspec import UNSET, UnsetType
from msgspec.inspect import type_info

from school_billing.platform.web.errors import FieldError, InvalidBody, MalformedBody, SlowBody, UnsupportedMediaType
from school_billing.platform.web.requests import header_values
from school_billing.platform.web.types import decode_scalar, rule_of

Contract = TypeVar("Contract")
Row = TypeVar("Row", bound=msgspec.Struct)
Value = TypeVar("Value")

_REQUIRED = "is required"
_UNKNOWN = "is not a field of this request"
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


def whole(row: Row) -> Row:
    """Return a row of a query in which the fields that the database gives as JSON have the types that they declare."""
    read = {
        name: exact_decoder(kind).decode(value)
        for name, kind in _types_of(type(row)).items()
        if isinstance(value := getattr(row, name), msgspec.Raw)
    }
    return msgspec.structs.replace(row, **read)


@cache
def _types_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def decode(body: bytes, contract: type[Contract]) -> Contract:
    """Decode a JSON `body` into the struct `contract`.

    Raises:
        MalformedBody: The body is not JSON.
        InvalidBody: The body breaks a rule of the contract. The error lists every wrong field.
    """
    try:
        decoded: Contract = exact_decoder(cast("Any", contract)).decode(body)
    except msgspec.ValidationError:
        raise InvalidBody(errors=_field_errors(body, contract)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody from None
    return decoded


def _field_errors(body: bytes, contract: Any) -> list[FieldError]:
    """List every wrong field. msgspec itself stops at the first one."""
    try:
        values = exact_decoder(Any).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The JSON is malformed after the first wrong field.
        raise MalformedBody from None
    if not isinstance(values, dict):
        return [FieldError("", "must be a JSON object")]
    fields = {field.encode_name: field for field in msgspec.structs.fields(contract)}
    errors = [FieldError(name, _UNKNOWN) for name in values if name not in fields]
    for name, field in fields.items():
        if name not in values:
            if field.required:
                errors.append(FieldError(name, _REQUIRED))
            continue
        try:
            msgspec.convert(values[name], field.type, dec_hook=decode_scalar)
        except msgspec.ValidationError as error:
            errors.append(_field_error(name, field.type, values[name], error))
    return errors[:_ERRORS_MOST] or [FieldError("", "breaks a rule")]


def _field_error(name: str, kind: Any, value: object, error: msgspec.ValidationError) -> FieldError:
    message, _, place = str(error).partition(" - at `$")
    path = place.rstrip("`")
    if isinstance(error.__cause__, ValueError):
        return FieldError(name + path, str(error.__cause__))  # The rule of a Scalar.
    if inner := re.fullmatch(r"Object (missing required|contains unknown) field `(.*)`", message):
        return FieldError(f"{name}{path}.{inner[2]}", _REQUIRED if inner[1].startswith("missing") else _UNKNOWN)
    is_empty = value == "" and message.endswith(">= 1")
    return FieldError(name + path, "must not be empty" if is_empty else rule_of(type_info(kind), path))


def set_or_none(value: Value | UnsetType) -> Value | None:
    """Return the value of a field in the body of a PATCH, or None if the body lacks the field."""
    return None if value is UNSET else value


def is_given(value: object) -> bool:
    """Tell whether the body of a PATCH has the field, even with the value null, which clears a column."""
    return value is not UNSET

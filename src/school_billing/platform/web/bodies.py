"""Bodies: JSON decoded once, straight into the handler's struct, with every wrong field named."""

import asyncio
from typing import Any, TypeVar, cast

import msgspec
from litestar import Request

from school_billing.platform.web.fields import PATTERN_SENTENCES
from school_billing.platform.web.idempotency import note_idempotency_key
from school_billing.platform.web.problems import FieldError, InvalidBody, MalformedBody, SlowBody, UnsupportedMediaType
from school_billing.platform.web.scalars import decode_scalar, exact_decoder
from school_billing.platform.web.scopes import header_values

Contract = TypeVar("Contract")

_ERRORS_MOST = 100
"""How many wrong fields an answer names: a body can have a hundred thousand."""

BODY_SECONDS = 30
"""How long a body may take to come: whoever sends it holds a connection, and a question that was answered."""


class ContractRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded into the type of the handler's `data`.

    Litestar decodes in two steps, to dicts with floats and then laxly to the struct ("5" becomes 5). Here it is
    one strict step, and numbers keep their digits.
    """

    _came: bytes | None = None

    async def body(self) -> bytes:
        """Return the body as it came.

        Raises:
            SlowBody: It did not come within BODY_SECONDS.
        """
        if self._came is None:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    self._came = await super().body()
            except TimeoutError:
                raise SlowBody from None
        return self._came

    async def json(self) -> Any:
        """Return the body as the struct that the handler asks for.

        Raises:
            UnsupportedMediaType: The body is declared as something else than JSON.
            MalformedBody: It is not JSON.
            InvalidBody: It breaks a rule of the contract.
        """
        declared = header_values(self, b"content-type") or ["application/json"]
        media_type = declared[0].partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise UnsupportedMediaType
        body = await self.body()
        if self.method == "POST":
            note_idempotency_key(self, body)
        field = self.route_handler.parsed_data_field
        return decode(body, field.annotation if field is not None else Any)


def decode(body: bytes, contract: type[Contract]) -> Contract:
    """Decode a JSON `body` into the struct `contract`.

    Raises:
        MalformedBody: It is not JSON.
        InvalidBody: It breaks a rule of the contract; the error lists each field that does.
    """
    try:
        decoded: Contract = exact_decoder(cast("Any", contract)).decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBody(errors=_field_errors(body, contract, error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedBody from None
    return decoded


def _field_errors(body: bytes, contract: Any, first: msgspec.ValidationError) -> list[FieldError]:
    """List every field that is wrong, where msgspec stops at the first.

    Raises:
        MalformedBody: The body is not JSON further on.
    """
    try:
        given = exact_decoder(Any).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A rule was broken before the place where the JSON is.
        raise MalformedBody from None
    if not isinstance(given, dict):
        return [_field_error("", first)]
    fields = {field.encode_name: field for field in msgspec.structs.fields(contract)}
    errors = [FieldError(name, "This field is not known here") for name in given if name not in fields]
    for name, field in fields.items():
        if name not in given:
            if field.required:
                errors.append(FieldError(name, "This field is required"))
            continue
        try:
            msgspec.convert(given[name], field.type, dec_hook=decode_scalar)
        except msgspec.ValidationError as error:
            errors.append(_field_error(name, error))
    return errors[:_ERRORS_MOST] or [_field_error("", first)]


def _field_error(name: str, error: msgspec.ValidationError) -> FieldError:
    message, _, path = str(error).partition(" - at `$")
    for pattern, sentence in PATTERN_SENTENCES.items():
        if repr(pattern) in message:
            message = sentence
    return FieldError(name + path.rstrip("`"), message.replace("`", ""))

"""Errors and their answers: RFC 9457 problem details, `application/problem+json`.

The docstring of an error is its default text: what happened, then what to do. Programs rely on its `code`. The
errors.py of each noun has the errors of that noun, and says which constraint of the schema means which error.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache, partial
from http import HTTPStatus
from typing import Any, ClassVar, Literal, cast
from urllib.parse import quote

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from school_billing.platform.database.context import context
from school_billing.platform.database.errors import (
    ConstraintViolated,
    DatabaseUnavailable,
    SchemaOutdated,
    ValueRefused,
)

BUG = "school_billing.bug"
"""The scope key of an unexpected exception."""
PROBLEM_CODE = "school_billing.problem_code"
"""The scope key of the code in the problem document."""

PROBLEM_MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger("school_billing.problems")


def path_of(request: Request[Any, Any, Any]) -> str:
    """Return the encoded path. request.url would also read the Host header, which can be any text."""
    return quote(with_suffix(request.scope["path"]), safe="/:@!$&'()*+,;=~")  # RFC 3986 section 3.3


_SUFFIX = re.compile(r"^(/[a-z-]+/[^/.]+)(\.(?:html|pdf))$")


def split_suffix(path: str) -> str:
    """Make .pdf of /receipts/{id}.pdf a part of its own: a route of Litestar cannot end in the middle of a part."""
    return _SUFFIX.sub(r"\1/\2", path) if "." in path else path


def with_suffix(path: str) -> str:
    """Undo split_suffix, also in the template of a path."""
    return path.replace("/.", ".")


def allow_header(methods: AbstractSet[str]) -> str:
    """Return the Allow header of a path with handlers for `methods`. A path with GET also answers HEAD."""
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


class FieldError(msgspec.Struct, frozen=True):
    """An error in one field of the body, or in one parameter."""

    field: str
    """The field's path, such as "amount"; "" means the whole body."""
    message: str
    """The rest of a sentence that begins with the field, such as "must be above zero"."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457), with members of our own: code, request_id, errors, and the figures of some errors.

    A figure is a string, such as "balance_due": "350.00".
    """

    type: Literal["about:blank"]
    """`code` identifies the problem."""
    title: str
    """The status in words."""
    status: int
    detail: str
    """A sentence for people: what went wrong, and what to do."""
    code: str
    """The kind of problem, for programs. It does not change between versions."""
    instance: str
    """The path of the request."""
    request_id: str
    """The X-Request-Id. The log lines of the request have it too."""
    errors: list[FieldError] = []
    """The wrong fields or parameters, if there are any."""


class AnswerBrokenOff(Exception):
    """The answer ends early, and the cause is no bug. The client sees a broken connection."""

    is_logged = True


class ApiError(Exception):
    """Something went wrong here. Try again later. If it stays, tell the operator the request_id."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    field: ClassVar[str] = ""
    """The field of the body whose value is in use already, if it is always the same."""
    headers: Mapping[str, str] = {}

    def __init__(
        self,
        detail: str | None = None,
        errors: Sequence[FieldError] = (),
        figures: Mapping[str, object] | None = None,
    ) -> None:
        self.detail = detail or _sentence_of(errors) or type(self).__doc__ or self.code
        self.errors = list(errors) or ([FieldError(self.field, "is already in use")] if self.field else [])
        self.figures = {name: str(figure) for name, figure in (figures or {}).items()}
        """What the client needs next, such as balance_due: members of the problem document."""
        super().__init__(self.detail)


def _sentence_of(errors: Sequence[FieldError]) -> str:
    """Return the first of `errors` as one sentence; `errors` of the problem document has all."""
    sentence = "; ".join(f"{error.field or 'The body'} {error.message}" for error in errors[:5])
    return sentence and f"{sentence}."


class BadRequest(ApiError):
    """The request could not be read. Correct it: the same request fails again."""

    status = 400
    code = "bad_request"


class MalformedBody(BadRequest):
    """The body is not valid JSON. Send JSON in UTF-8."""

    code = "malformed_json"


class MalformedRequest(BadRequest):
    """The request is not valid HTTP. Send it by RFC 9112, with exactly one Host header."""

    code = "malformed_request"


class HeadersTooLarge(ApiError):
    """The request line and the headers are too large. Send fewer or shorter headers."""

    status = 431
    code = "headers_too_large"


class InvalidParameter(BadRequest):
    """A parameter is not valid. Correct what `errors` lists."""

    code = "invalid_parameter"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__(errors=errors)


class NotFound(ApiError):
    """Nothing has this id. Check the id."""

    status = 404
    code = "not_found"


class RouteNotFound(ApiError):
    """There is nothing at this path. GET /docs lists the routes."""

    status = 404
    code = "route_not_found"


class PreflightRefused(BadRequest):
    """Pages of this origin may not send this request. Add the origin to CORS_ORIGINS, or send another request."""

    code = "preflight_refused"


class MethodNotAllowed(ApiError):
    """This path does not support this method. The Allow header lists those it does."""

    status = 405
    code = "method_not_allowed"


class SlowBody(ApiError):
    """The request took too long to arrive. Send it again."""

    status = 408
    code = "request_timeout"
    headers: Mapping[str, str] = {"Connection": "close"}  # RFC 9110 section 15.5.9


class Conflict(ApiError):
    """The change conflicts with the current state. Fetch it again and retry."""

    status = 409
    code = "conflict"


class DuplicateId(Conflict):
    """This id is taken. Send the request again."""

    code = "duplicate_id"


class InUse(Conflict):
    """It is in use and cannot be deleted. Delete what uses it first."""

    code = "in_use"


class BodyTooLarge(ApiError):
    """The body is too large. Send less at a time."""

    status = 413
    code = "body_too_large"


class PreconditionFailed(ApiError):
    """This was changed after you loaded it. Fetch it again and retry."""

    status = 412
    code = "precondition_failed"


class UnsupportedMediaType(ApiError):
    """The body is of another type than JSON. Send JSON, with Content-Type: application/json."""

    status = 415
    code = "unsupported_media_type"


class InvalidBody(ApiError):
    """The body breaks a rule. Correct the fields that `errors` lists."""

    status = 422
    code = "invalid_body"


def require_each_once(field: str, values: Iterable[object]) -> None:
    """Raise InvalidBody if a value is in the list twice. `field` names an item, such as "payers[{}].payer_id"."""
    known: set[object] = set()
    errors = []
    for place, value in enumerate(values):
        if value in known:
            errors.append(FieldError(field.format(place), "is in the list twice"))
        known.add(value)
    if errors:
        raise InvalidBody(errors=errors)


class ValueOutOfRange(InvalidBody):
    """A value is outside the range that can be stored. Send a smaller one."""

    code = "value_out_of_range"


class Unavailable(ApiError):
    """The database is not available. Wait for Retry-After seconds and send the request again."""

    status = 503
    code = "database_unavailable"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class DatabaseNotMigrated(Unavailable):
    """The database lacks a change that this release needs. Please try again later."""

    code = "schema_outdated"


class ServerStopping(Unavailable):
    """The server is stopping, so the change may or may not be made. Retry with the same Idempotency-Key."""

    code = "server_stopping"


ErrorFactory = Callable[..., ApiError]
ConstraintErrors = Mapping[str | tuple[str, str], ErrorFactory]
"""The error for a constraint, by the constraint's name, or by its name and the name of the query.

The factory takes the facts that the constraint tells, if there are any.
"""


def breaks_rule(field: str, rule: str) -> ErrorFactory:
    """Return a factory of the error that `field` of the body breaks the rule, such as "must be above zero"."""
    return partial(InvalidBody, None, [FieldError(field, rule)])


def not_plain(field: str, most: int) -> ErrorFactory:
    """Return a factory of the error that `field` of the body is no plain text of 1 to `most` characters."""
    return breaks_rule(field, f"must have 1 to {most} characters, none of them invisible, and no blanks around them")


def error_classes() -> dict[str, type[ApiError]]:
    """Return every error that has a code of its own, by the code."""
    kinds: list[type[ApiError]] = [ApiError]
    for kind in kinds:  # It grows on the way.
        kinds += kind.__subclasses__()
    return {
        kind.code: kind for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)) if "code" in vars(kind)
    }


def errors_table() -> str:
    """Return the table of docs/errors.md: all errors of the modules that are imported."""
    rows = ["| code | status | meaning | what to do |", "| --- | --- | --- | --- |"]
    for code, kind in error_classes().items():
        meaning, _, advice = (kind.__doc__ or "").partition(". ")
        rows.append(f"| `{code}` | {kind.status} | {meaning}. | {advice} |")
    return "\n".join(rows)


def exception_handlers(constraint_errors: ConstraintErrors) -> ExceptionHandlersMap:
    """Return the handlers that answer every exception with a problem document."""

    def on_constraint(request: Request[Any, Any, Any], error: ConstraintViolated) -> Response[Problem]:
        make = constraint_errors.get((error.constraint, error.query.name)) or constraint_errors.get(error.constraint)
        return answer_error(request, make(**error.facts)) if make else on_bug(request, error)

    return {
        ApiError: answer_error,
        ConstraintViolated: on_constraint,
        ValueRefused: _on_value_refused,
        DatabaseUnavailable: _on_unavailable,
        HTTPException: _on_http_exception,
        Exception: on_bug,
    }


def on_bug(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer an unexpected exception with 500. The wrapper around the application logs it."""
    cast("dict[str, object]", request.scope)[BUG] = error
    return answer_error(request, ApiError())


def answer_error(request: Request[Any, Any, Any], error: ApiError) -> Response[Problem]:
    """Answer with the problem document of `error`."""
    return _respond(request, error.status, error.code, error.detail, error.errors, error.headers, error.figures)


def _on_value_refused(request: Request[Any, Any, Any], error: ValueRefused) -> Response[Problem]:
    log.info("value refused", query=str(error), cause=type(error.__cause__).__name__)
    return answer_error(request, ValueOutOfRange())


def _on_unavailable(request: Request[Any, Any, Any], error: DatabaseUnavailable) -> Response[Problem]:
    if isinstance(error, SchemaOutdated):
        _tell_to_migrate()
        return answer_error(request, DatabaseNotMigrated())
    log.warning("database unavailable", query=str(error), cause=repr(error.__cause__))
    return answer_error(request, Unavailable())


@cache
def _tell_to_migrate() -> None:
    """Log once in this process what to do, because every request fails alike."""
    log.error("the database lacks a migration: run `school-billing migrate`")


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    if error.status_code >= 500:  # An error inside Litestar, such as an answer that cannot be rendered.
        return on_bug(request, error)
    headers = {name.title(): value for name, value in (error.headers or {}).items()}
    if allow := headers.get("Allow"):
        headers["Allow"] = allow_header(set(allow.split(", ")))
    known = {404: RouteNotFound, 405: MethodNotAllowed, 413: BodyTooLarge}.get(error.status_code, BadRequest)()
    return _respond(request, error.status_code, known.code, known.detail, headers=headers)


def _respond(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    detail: str,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    figures: Mapping[str, str] | None = None,
) -> Response[Problem]:
    cast("dict[str, object]", request.scope)[PROBLEM_CODE] = code
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        instance=path_of(request),
        request_id=context().request_id or "",
        errors=list(errors),
    )
    if figures:
        problem = cast("Problem", msgspec.to_builtins(problem) | figures)
    return Response(problem, status_code=status, media_type=PROBLEM_MEDIA_TYPE, headers=dict(headers or {}))

"""The errors of authentication, and which constraint of the schema means which error."""

from collections.abc import Mapping
from functools import partial

from school_billing.platform.web.errors import (
    ApiError,
    ConstraintErrors,
    DuplicateId,
    NotFound,
    Unavailable,
    breaks_rule,
)


class NotAuthenticated(ApiError):
    """You are not logged in. Send a valid access token or API key as Authorization: Bearer."""

    status = 401
    code = "not_authenticated"
    headers: Mapping[str, str] = {"WWW-Authenticate": 'Bearer realm="school-billing"'}  # RFC 6750 section 3


class Forbidden(ApiError):
    """Your role does not allow this. Ask an administrator."""

    status = 403
    code = "forbidden"


class WrongCredentials(NotAuthenticated):
    """The username or the password is wrong. Correct it; after several failures you have to wait."""

    code = "wrong_credentials"


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is no longer valid. Log in again."""

    code = "invalid_refresh_token"


class TooManyLogins(ApiError):
    """Too many attempts to log in. Try again later."""

    status = 429
    code = "too_many_logins"

    def __init__(self, detail: str | None = None, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_seconds)}  # RFC 6585 section 4


class TooManyRefreshes(TooManyLogins):
    """This session was refreshed too often. Use an access token until it expires."""

    code = "too_many_refreshes"


class TooBusy(Unavailable):
    """Too many users are logging in. Try again in a moment."""

    code = "too_busy"


class SessionNotFound(NotFound):
    """There is no such session. Log in again."""

    code = "session_not_found"


UNKNOWN_ROLE = breaks_rule("role", "must be one of admin, accountant, viewer")

CONSTRAINT_ERRORS: ConstraintErrors = {
    "sessions_pkey": DuplicateId,
    "sessions_user_id_fkey": partial(SessionNotFound, "There is no such user."),
    "refresh_tokens_pkey": DuplicateId,
    "refresh_tokens_session_id_fkey": SessionNotFound,
    "login_throttles_pkey": DuplicateId,
}

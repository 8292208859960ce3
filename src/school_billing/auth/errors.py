"""The errors of authentication, and which constraint of the schema means which error."""

from functools import partial

from school_billing.platform.web.errors import (
    ConstraintErrors,
    DuplicateId,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
    Unavailable,
    breaks_rule,
)


class WrongCredentials(NotAuthenticated):
    """The username or the password is wrong."""

    code = "wrong_credentials"


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is no longer valid. Log in again."""

    code = "invalid_refresh_token"


class TooManyLogins(TooManyRequests):
    """Too many log-ins failed. Try again later."""

    code = "too_many_logins"


class TooBusy(Unavailable):
    """Too many users are logging in. Try again in a moment."""

    code = "too_busy"


class SessionNotFound(NotFound):
    """There is no such session."""

    code = "session_not_found"


UNKNOWN_ROLE = breaks_rule("role", "A role is admin, accountant or viewer.")

CONSTRAINT_ERRORS: ConstraintErrors = {
    "sessions_pkey": DuplicateId,
    "sessions_user_id_fkey": partial(SessionNotFound, "There is no such user."),
    "refresh_tokens_pkey": DuplicateId,
    "refresh_tokens_session_id_fkey": SessionNotFound,
    "login_throttles_pkey": DuplicateId,
}

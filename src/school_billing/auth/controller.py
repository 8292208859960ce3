"""/auth: logging in and out."""

from typing import Any

from litestar import Controller, Request, post, put
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag
from litestar.params import JSONBody

from school_billing.auth.addresses import client_address
from school_billing.auth.contracts import Caller, Login, PasswordChange, Refresh, SessionTokens
from school_billing.auth.errors import (
    CONSTRAINT_ERRORS,
    Forbidden,
    InvalidRefreshToken,
    TooBusy,
    TooManyLogins,
    TooManyRefreshes,
    WrongCredentials,
)
from school_billing.auth.guards import OPEN, USERS
from school_billing.auth.login_service import LoginService
from school_billing.auth.repository import Sessions
from school_billing.auth.tokens import Tokens
from school_billing.platform.database.pool import Database
from school_billing.platform.jobs import repeating
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.rooms import Room
from school_billing.platform.settings import Settings
from school_billing.platform.web.errors import Unavailable

PRUNE_SECONDS = 60
"""The pause between two deletions of old sessions and counters."""


class AuthController(Controller):
    """The routes of sessions and of the caller's own password."""

    path = "/"
    tags = ("auth",)

    @post(
        "/auth/login",
        status_code=200,
        access=OPEN,
        summary="Log in",
        errors=(WrongCredentials, TooManyLogins, TooBusy, Unavailable),
    )
    async def log_in(
        self, data: JSONBody[Login], request: Request[Any, Any, Any], login_service: NamedDependency[LoginService]
    ) -> SessionTokens:
        """Start a session with a username and a password.

        Send the access token with every request as `Authorization: Bearer <access_token>`. Before it expires, exchange
        the refresh token for the next pair. A wrong password and an unknown user get the same answer after the same
        time. 429 after too many attempts.
        """
        return await login_service.log_in(data, client_address(request))

    @post(
        "/auth/refresh",
        status_code=200,
        access=OPEN,
        summary="Refresh the tokens",
        errors=(InvalidRefreshToken, TooManyRefreshes, Unavailable),
    )
    async def refresh_session(
        self, data: JSONBody[Refresh], request: Request[Any, Any, Any], login_service: NamedDependency[LoginService]
    ) -> SessionTokens:
        """Exchange a refresh token for a new pair of tokens. Each refresh token works once.

        A refresh token that is used twice ends the session, because it may be stolen. So do not send it again if an
        answer was lost: log in again.
        """
        return await login_service.refresh(data.refresh_token, client_address(request))

    @post("/auth/logout", status_code=204, access=OPEN, summary="Log out", errors=(Unavailable,))
    async def log_out(self, data: JSONBody[Refresh], login_service: NamedDependency[LoginService]) -> None:
        """End the session of a refresh token. Its access tokens stop working at once.

        The answer is 204 even if there is no such session (RFC 7009 section 2.2).
        """
        await login_service.log_out(data.refresh_token)

    @put(
        "/auth/password",
        status_code=204,
        access=USERS,
        summary="Change your own password",
        errors=(TooManyLogins, TooBusy),
    )
    async def change_password(
        self,
        data: JSONBody[PasswordChange],
        request: Request[Any, Any, Any],
        login_service: NamedDependency[LoginService],
        caller: NamedDependency[Caller],
    ) -> None:
        """Change your own password. This ends all your sessions, so log in again."""
        if caller.user_id is None:
            raise Forbidden("An API key has no password.")
        await login_service.change_password(caller.name, data, client_address(request))


def room(database: Database, settings: Settings, tokens: Tokens, metrics: Metrics) -> Room:
    """Return what logging in and out brings to the application."""
    sessions = Sessions(database, settings)
    return Room(
        Tag("auth", "Logging in and out."),
        AuthController,
        constraint_errors=CONSTRAINT_ERRORS,
        running=lambda: repeating(sessions.prune, PRUNE_SECONDS, "deleting old sessions"),
        login_service=LoginService(sessions, tokens, metrics),
    )

"""/auth: from a password to tokens, and out again."""

from typing import Any

from litestar import Controller, Request, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from school_billing.auth.contracts import Caller, Login, PasswordChange, Refresh, SessionTokens
from school_billing.auth.guards import OPEN, USERS
from school_billing.auth.login_service import LoginService
from school_billing.platform.web.errors import Forbidden
from school_billing.platform.web.requests import client_address


class AuthController(Controller):
    """Logging in and out."""

    path = "/"
    tags = ("auth",)

    @post("/auth/login", status_code=200, access=OPEN, summary="Log in")
    async def log_in(
        self,
        data: JSONBody[Login],
        request: Request[Any, Any, Any],
        login_service: NamedDependency[LoginService],
    ) -> SessionTokens:
        """Begin a session with a username and a password.

        Send the access token with other requests as `Authorization: Bearer <access_token>`, and before it expires
        exchange the refresh token for the next pair. A wrong password and an unknown user get the same answer,
        after the same time; 429 after too many of either.
        """
        return await login_service.log_in(data, client_address(request))

    @post("/auth/refresh", status_code=200, access=OPEN, summary="Refresh the tokens")
    async def refresh_session(
        self,
        data: JSONBody[Refresh],
        request: Request[Any, Any, Any],
        login_service: NamedDependency[LoginService],
    ) -> SessionTokens:
        """Exchange a refresh token for a new pair of tokens. Each is good for one use.

        A token that was used before ends the session, for nobody can tell then which of its holders is the thief:
        do not send it twice, not even where the answer was lost, but log in again.
        """
        return await login_service.refresh(data.refresh_token, client_address(request))

    @post("/auth/logout", status_code=204, access=OPEN, summary="Log out")
    async def log_out(self, data: JSONBody[Refresh], login_service: NamedDependency[LoginService]) -> None:
        """End the session of a refresh token; its access tokens are refused from then on.

        204 whether there was such a session or not (RFC 7009 section 2.2).
        """
        await login_service.log_out(data.refresh_token)

    @put("/auth/password", status_code=204, access=USERS, summary="Change one's own password")
    async def change_password(
        self,
        data: JSONBody[PasswordChange],
        request: Request[Any, Any, Any],
        login_service: NamedDependency[LoginService],
        caller: NamedDependency[Caller],
    ) -> None:
        """Change the caller's own password, which ends all the caller's sessions: log in again."""
        if caller.user_id is None:
            raise Forbidden("An API key has no password.")
        await login_service.change_password(caller.name, data, client_address(request))

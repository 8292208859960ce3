"""/auth: exchange a password for an access token."""

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from school_billing.auth.contracts import AccessToken, Login, Role
from school_billing.auth.guards import OPEN
from school_billing.auth.passwords import password_matches
from school_billing.auth.repository import Users
from school_billing.auth.tokens import Tokens
from school_billing.web.problems import NotAuthenticated


class AuthController(Controller):
    """Logging in."""

    path = "/"
    tags = ("auth",)

    @post("/auth/login", status_code=200, access=OPEN, security=[], summary="Log in")
    async def log_in(
        self,
        data: JSONBody[Login],
        users: NamedDependency[Users],
        tokens: NamedDependency[Tokens],
    ) -> AccessToken:
        """Exchange a username and a password for an access token.

        Send it with other requests as `Authorization: Bearer <access_token>`. A wrong password and an unknown
        user get the same answer, after the same time.
        """
        user = await users.find(data.username)
        matches = await password_matches(user.password_hash if user else None, data.password)
        if user is None or not matches:
            raise NotAuthenticated("The username or the password is wrong.")
        return AccessToken(
            access_token=tokens.issue(user.username, Role(user.role), user.school_id),
            token_type="Bearer",  # noqa: S106 - a kind of token, not a token.
            expires_in=tokens.lifetime_seconds,
        )

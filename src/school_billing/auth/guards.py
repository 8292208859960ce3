"""The guard in front of every route: open, for readers, or for the roles that the route names."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute
from litestar.types import Scope

from school_billing.auth.contracts import Caller, Role
from school_billing.auth.tokens import InvalidToken, Tokens
from school_billing.database.context import context
from school_billing.settings import Settings
from school_billing.web.docs import BEARER
from school_billing.web.problems import Forbidden, NotAuthenticated

Connection = ASGIConnection[Any, Any, Any, Any]

OPEN = "open"
"""A route for everybody."""
READERS = "readers"
"""A route for every user, and for everybody where reads are public."""
ADMINS = frozenset({Role.ADMIN})
"""A route for administrators."""
ACCOUNTANTS = frozenset({Role.ADMIN, Role.ACCOUNTANT})
"""A route for those who keep the books."""

_ANYBODY = Caller(username="", role=Role.VIEWER, tenant=None)


class Guard:
    """Litestar's guard for the whole application.

    A route says who may use it with `access=`: OPEN, READERS or a set of roles. A route that says nothing is for
    administrators, so that forgetting it locks a door rather than opening one.
    """

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._reads_are_public = settings.reads_are_public
        self._tokens = tokens

    def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Let the caller through and remember who it is.

        Raises:
            NotAuthenticated: There is no token, or not a valid one.
            Forbidden: The caller's role may not use the route.
        """
        access = handler.opt.get("access", ADMINS)
        if access == OPEN or connection.scope.get("method") == "OPTIONS":
            return
        caller = self._authenticate(connection)
        if access == READERS:
            if caller is None and not self._reads_are_public:
                raise NotAuthenticated
        elif caller is None:
            raise NotAuthenticated
        elif caller.role not in access:
            raise Forbidden
        connection.scope["state"]["caller"] = caller or _ANYBODY
        if caller is not None:
            known = context()
            known.actor = caller.username
            known.actor_school = None if caller.tenant is None else str(caller.tenant)

    def _authenticate(self, connection: Connection) -> Caller | None:
        header = connection.headers.get("authorization")
        if header is None:
            return None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticated("The Authorization header must be: Bearer <access token>.")
        try:
            return self._tokens.read(token.strip())
        except InvalidToken:
            raise NotAuthenticated("The access token is not valid, or it has expired.") from None


class DocumentAccess(ReceiveRoutePlugin):
    """Shows in OpenAPI which routes need a token, from the same `access=` that the guard obeys."""

    def __init__(self, reads_are_public: bool) -> None:
        self._reads_are_public = reads_are_public

    def receive_route(self, route: BaseRoute) -> None:
        """Set the security requirements of each handler of `route`."""
        for handler in getattr(route, "route_handlers", ()):
            access = handler.opt.get("access", ADMINS)
            if access == OPEN:
                handler.security = []
            elif access == READERS and self._reads_are_public:
                handler.security = [{}, {BEARER: []}]
            else:
                handler.security = [{BEARER: []}]


async def provide_caller(scope: Scope) -> Caller:
    """Return who sends the request, as the guard found."""
    caller: Caller = scope["state"]["caller"]
    return caller

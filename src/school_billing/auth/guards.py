"""The guard in front of every route: open, for readers, for the operator, or for the roles that the route names."""

import base64
import binascii
import hmac
from typing import Any, TypeAlias, cast

from litestar import Request
from litestar.exceptions import NotFoundException
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute

from school_billing.auth.admission import Admission
from school_billing.auth.contracts import Caller, Role
from school_billing.auth.secrets import API_KEY_PREFIX
from school_billing.auth.tokens import Claims, InvalidToken, Tokens
from school_billing.platform.database.context import context
from school_billing.platform.settings import Settings
from school_billing.platform.web.docs import BEARER
from school_billing.platform.web.errors import Forbidden, NotAuthenticated, Unavailable
from school_billing.platform.web.requests import header_values

AnyRequest: TypeAlias = Request[Any, Any, Any]

OPEN = "open"
"""A route for everybody."""
INTERNAL = "internal"
"""A route for the operator: open, or behind INTERNAL_TOKEN, and on INTERNAL_PORT alone where that is set."""
HEALTH = "health"
"""A route for everybody, on every port."""
READERS = "readers"
"""A route for every user, and for everybody where reads are public."""
USERS = frozenset(Role)
"""A route for everybody with a token."""
ADMINS = frozenset({Role.ADMIN})
"""A route for administrators."""
USER_ADMINS = "administrators who are people"
"""A route for administrators with a session: a key that could make users and keys would outlive whoever made it."""
ACCOUNTANTS = frozenset({Role.ADMIN, Role.ACCOUNTANT})
"""A route for those who keep the books."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ANYBODY = Caller(name="", role=Role.VIEWER, tenant=None)


class InternalTokenNeeded(NotAuthenticated):
    """This needs the operator's token."""

    # Basic, for it is what a browser asks a person for (RFC 7617); the token goes where the password goes.
    headers = {"WWW-Authenticate": 'Basic realm="school-billing internal", charset="UTF-8"'}


class Guard:
    """The step before every handler: whether the caller may use the route.

    A route says who may use it with `access=`: OPEN, HEALTH, INTERNAL, READERS or a set of roles. A route that says
    nothing is for administrators, so that forgetting it locks a door rather than opening one.
    """

    def __init__(self, settings: Settings, tokens: Tokens, admission: Admission) -> None:
        self._reads_are_public = settings.reads_are_public
        self._internal_port = settings.internal_port
        self._internal_token = settings.internal_token.encode()
        self._tokens = tokens
        self._admission = admission

    async def __call__(self, request: AnyRequest) -> None:
        """Let the caller through and remember who it is.

        Raises:
            NotAuthenticated: There is no token, or not a valid one.
            Forbidden: The caller's role may not use the route.
            NotFoundException: The route is not served on this port.
        """
        access = request.route_handler.opt.get("access", ADMINS)
        if self._internal_port and access != HEALTH:
            self._check_port(request, access)
        if access in {OPEN, HEALTH} or request.method == "OPTIONS":
            return
        if access == INTERNAL:
            self._check_internal_token(request)
            return
        credential = self._read_credential(request)
        if credential is None:
            if access != READERS or not self._reads_are_public:
                raise NotAuthenticated
            context().caller = _ANYBODY
            return
        if request.method in _WITH_BODY:
            # All of it, before the question: whose session ends while a body trickles in does nothing more.
            await request.body()
        caller = await self._admit(credential)
        if access == USER_ADMINS:
            if caller.role is not Role.ADMIN:
                raise Forbidden
            if caller.user_id is None:
                raise Forbidden("An API key cannot manage users and keys.")
        elif access != READERS and caller.role not in access:
            raise Forbidden
        known = context()
        known.caller = caller
        known.actor = caller.name
        known.actor_school = None if caller.tenant is None else str(caller.tenant)

    async def _admit(self, credential: Claims | str) -> Caller:
        if isinstance(credential, str):
            caller = await self._admission.of_key(credential)
            if caller is None:
                raise NotAuthenticated("The API key is not valid, or it was revoked.")
            return caller
        caller = await self._admission.of_session(credential)
        if caller is None:
            raise NotAuthenticated("The session of the access token is over. Log in again.")
        return caller

    def _check_port(self, request: AnyRequest, access: object) -> None:
        # Which port a connection came in by is the socket's to say, and no header's.
        server = request.scope.get("server")
        if (access == INTERNAL) != (server is not None and server[1] == self._internal_port):
            raise NotFoundException

    def _check_internal_token(self, request: AnyRequest) -> None:
        if not self._internal_token:
            return
        if not hmac.compare_digest(_token_or_password(request), self._internal_token):
            raise InternalTokenNeeded

    def _read_credential(self, request: AnyRequest) -> Claims | str | None:
        """Return what the access token says, or the API key; None where the request has neither."""
        headers = header_values(request, b"authorization")
        if not headers:
            return None
        scheme, _, given = headers[0].partition(" ")
        token = given.strip()
        if len(headers) > 1 or scheme.lower() != "bearer":
            raise NotAuthenticated("There must be one Authorization header: Bearer <access token or API key>.")
        if token.startswith(API_KEY_PREFIX):
            return token
        try:
            return self._tokens.read(token)
        except InvalidToken:
            raise NotAuthenticated("The access token is not valid, or it has expired.") from None


def _token_or_password(request: AnyRequest) -> bytes:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return given.strip().encode()
        case "basic":
            try:
                return base64.b64decode(given.strip().encode(), validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
        case _:
            return b""


class DocumentAccess(ReceiveRoutePlugin):
    """Shows in OpenAPI which routes need a token, from the same `access=` that the guard obeys."""

    def __init__(self, settings: Settings) -> None:
        self._reads_are_public = settings.reads_are_public
        self._internal_is_open = not settings.internal_token

    def receive_route(self, route: BaseRoute) -> None:
        """Set the security requirements of each handler of `route`."""
        for handler in getattr(route, "route_handlers", ()):
            access = handler.opt.get("access", ADMINS)
            if access in {OPEN, HEALTH} or (access == INTERNAL and self._internal_is_open):
                handler.security = []
            elif access == READERS and self._reads_are_public:
                handler.security = [{}, {BEARER: []}]
            else:
                handler.security = [{BEARER: []}]
            if handler.security:
                handler.opt["errors"] = (NotAuthenticated, Forbidden, Unavailable, *handler.opt.get("errors", ()))


def provide_caller() -> Caller:
    """Return who sends the request at work, as the guard found."""
    return cast("Caller", context().caller)

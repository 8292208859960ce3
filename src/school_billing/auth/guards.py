"""The check before every handler: whether the caller may use the route."""

import base64
import binascii
import hmac
from typing import cast

from litestar.exceptions import NotFoundException
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute

from school_billing.auth.authenticator import Authenticator
from school_billing.auth.contracts import Caller, Role
from school_billing.auth.errors import Forbidden, NotAuthenticated
from school_billing.auth.secrets import API_KEY_PREFIX
from school_billing.auth.tokens import Claims, InvalidToken, Tokens
from school_billing.platform.database.context import context
from school_billing.platform.settings import Settings
from school_billing.platform.web.docs import BEARER
from school_billing.platform.web.errors import Unavailable
from school_billing.platform.web.requests import AnyRequest, header_values

OPEN = "open"
"""Everybody may use the route."""
INTERNAL = "internal"
"""For the operator: everybody, or with INTERNAL_TOKEN if it is set, and on INTERNAL_PORT only if it is set."""
HEALTH = "health"
"""Everybody may use the route, on every port."""
READERS = "readers"
"""Every user and API key may use the route, and everybody if reads are public."""
USERS = frozenset(Role)
"""Every user and API key may use the route."""
ADMINS = frozenset({Role.ADMIN})
"""Administrators may use the route."""
USER_ADMINS = "administrators who are people"
"""Administrators with a session may use the route. A key that adds users would outlive its owner's account."""
ACCOUNTANTS = frozenset({Role.ADMIN, Role.ACCOUNTANT})
"""Accountants and administrators may use the route."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_ANONYMOUS = Caller(name="", role=Role.VIEWER, tenant=None)


class InternalTokenNeeded(NotAuthenticated):
    """This page is for operators. Send the operator's token (INTERNAL_TOKEN)."""

    # A browser asks for a Basic password (RFC 7617), and the token is that password.
    headers = {"WWW-Authenticate": 'Basic realm="school-billing internal", charset="UTF-8"'}


class Guard:
    """Refuses callers who may not use a route, and remembers the others.

    `access=` of a route is one of the constants above. The default is ADMINS, so a route without it is safe.
    """

    def __init__(self, settings: Settings, tokens: Tokens, authenticator: Authenticator) -> None:
        self._reads_are_public = settings.reads_are_public
        self._internal_port = settings.internal_port
        self._internal_token = settings.internal_token.encode()
        self._tokens = tokens
        self._authenticator = authenticator

    async def __call__(self, request: AnyRequest) -> None:
        """Check the request.

        Raises:
            NotAuthenticated: There is no valid token.
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
            context().caller = _ANONYMOUS
            return
        if request.method in _WITH_BODY:
            # The body first: a session that ends while a slow body arrives must not change anything.
            await request.body()
        caller = await self._authenticate(credential)
        if access == USER_ADMINS:
            if caller.role is not Role.ADMIN:
                raise Forbidden
            if caller.user_id is None:
                raise Forbidden("An API key cannot manage users and API keys.")
        elif access != READERS and caller.role not in access:
            raise Forbidden
        request_context = context()
        request_context.caller = caller
        request_context.actor = caller.name
        request_context.actor_school = None if caller.tenant is None else str(caller.tenant)

    async def _authenticate(self, credential: Claims | str) -> Caller:
        if isinstance(credential, str):
            if caller := await self._authenticator.of_key(credential):
                return caller
            raise NotAuthenticated("The API key is not valid, or it was revoked.")
        if caller := await self._authenticator.of_session(credential):
            return caller
        raise NotAuthenticated("The session of the access token has ended. Log in again.")

    def _check_port(self, request: AnyRequest, access: object) -> None:
        # The port comes from the socket, because a client can write anything in a header.
        server = request.scope.get("server")
        if (access == INTERNAL) != (server is not None and server[1] == self._internal_port):
            raise NotFoundException

    def _check_internal_token(self, request: AnyRequest) -> None:
        if self._internal_token and not hmac.compare_digest(_token_or_password(request), self._internal_token):
            raise InternalTokenNeeded

    def _read_credential(self, request: AnyRequest) -> Claims | str | None:
        """Return the claims of the access token, or the API key; None if the request has neither."""
        headers = header_values(request, b"authorization")
        if not headers:
            return None
        scheme, _, rest = headers[0].partition(" ")
        token = rest.strip()
        if len(headers) > 1 or scheme.lower() != "bearer":
            raise NotAuthenticated("Send one header Authorization: Bearer <access token or API key>.")
        if token.startswith(API_KEY_PREFIX):
            return token
        try:
            return self._tokens.read(token)
        except InvalidToken:
            raise NotAuthenticated(
                "The access token is not valid, or it has expired. Refresh it, or log in again."
            ) from None


def _token_or_password(request: AnyRequest) -> bytes:
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip().encode()
        case "basic":
            try:
                return base64.b64decode(rest.strip().encode(), validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
        case _:
            return b""


class DocumentAccess(ReceiveRoutePlugin):
    """Shows in OpenAPI which routes need a token, by the same `access=` that the guard checks."""

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
    """Return the caller of the current request. The guard has checked the caller."""
    return cast("Caller", context().caller)

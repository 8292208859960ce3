"""Logging in: a password starts a session, a refresh token continues it, and a log-out ends it."""

import structlog

from school_billing.auth.contracts import Login, PasswordChange, SessionTokens
from school_billing.auth.errors import InvalidRefreshToken, TooManyLogins, TooManyRefreshes, WrongCredentials
from school_billing.auth.hashing import hash_new_password, password_matches, rehash_if_outdated
from school_billing.auth.repository import Attempt, Sessions
from school_billing.auth.tokens import Tokens
from school_billing.platform.database.context import context
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.password_rules import password_problem
from school_billing.platform.web.errors import FieldError, InvalidBody

log = structlog.get_logger("school_billing.auth")


class LoginService:
    """Starts, continues and ends sessions, and counts the outcomes.

    A request with a password raises TooManyLogins after too many attempts for this account or from this address.
    """

    def __init__(self, sessions: Sessions, tokens: Tokens, metrics: Metrics) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._metrics = metrics

    async def log_in(self, login: Login, address: str | None) -> SessionTokens:
        """Start a session. WrongCredentials for an unknown or disabled user, too."""
        attempt = await self._verify(login.username, login.password, address, login.refresh_token)
        if attempt is not None and attempt.password_hash is not None:
            context().actor = attempt.username
            rehashed = await rehash_if_outdated(attempt.password_hash, login.password, address)
            started = await self._sessions.start(attempt, address, rehashed)
            if started is not None:
                session, refresh_token = started
                self._metrics.logins.labels("succeeded").inc()
                return self._pair(self._tokens.issue(session.user_id, session.session_id), refresh_token)
            await self._sessions.audit_failure(attempt, address)
        self._metrics.logins.labels("refused").inc()
        raise WrongCredentials

    async def refresh(self, token: str, address: str | None) -> SessionTokens:
        """Continue a session with a new pair of tokens. InvalidRefreshToken if the token is not valid any more."""
        refreshed, refresh_token = await self._sessions.refresh(token, address)
        if refreshed.retry_after_seconds is not None:
            raise TooManyRefreshes(retry_after_seconds=refreshed.retry_after_seconds)
        if refreshed.was_spent:
            log.warning("a refresh token was used twice; its session has ended")
        if refreshed.session_id is None or refreshed.user_id is None:
            self._metrics.refreshes.labels("reused" if refreshed.was_spent else "refused").inc()
            raise InvalidRefreshToken
        self._metrics.refreshes.labels("succeeded").inc()
        return self._pair(self._tokens.issue(refreshed.user_id, refreshed.session_id), refresh_token)

    async def log_out(self, token: str) -> None:
        """End the session of a refresh token, if there is one."""
        await self._sessions.end(token)

    async def change_password(self, username: str, change: PasswordChange, address: str | None) -> None:
        """Change a user's own password, and end all sessions of the user.

        InvalidBody if the current password is wrong, or if the new one breaks a rule.
        """
        if message := password_problem(username, change.new_password):
            raise InvalidBody(errors=[FieldError("new_password", message)])
        attempt = await self._verify(username, change.current_password, address)
        if attempt is not None:
            new_password_hash = await hash_new_password(change.new_password, address)
            if await self._sessions.change_password(attempt, new_password_hash):
                return
        raise InvalidBody(errors=[FieldError("current_password", "is not your password")])

    async def _verify(
        self, username: str, password: str, address: str | None, refresh_token: str | None = None
    ) -> Attempt | None:
        """Return the attempt if the password is right; else audit the failure and return None.

        Both take the same steps if there is no such account, so the time of the answer does not show that.
        """
        attempt = await self._sessions.attempt(username, address, refresh_token)
        if attempt.retry_after_seconds is not None:
            await self._sessions.uncount(attempt)
            self._metrics.logins.labels("throttled").inc()
            raise TooManyLogins(retry_after_seconds=attempt.retry_after_seconds)
        is_wrong = False
        try:
            is_wrong = not await password_matches(attempt.password_hash, password, address)
        finally:
            if not is_wrong:
                # The password was right, or the server was too busy to check it.
                await self._sessions.uncount(attempt)
        if is_wrong:
            await self._sessions.audit_failure(attempt, address)
            return None
        return attempt

    def _pair(self, access_token: str, refresh_token: str) -> SessionTokens:
        return SessionTokens(
            access_token=access_token,
            token_type="Bearer",  # noqa: S106 - a kind of token, not a token.
            expires_in=self._tokens.lifetime_seconds,
            refresh_token=refresh_token,
        )

"""Logging in: a password becomes a session, a refresh token the next pair of tokens, and a log-out ends both."""

import structlog

from school_billing.auth.contracts import Login, PasswordChange, SessionTokens
from school_billing.auth.errors import InvalidRefreshToken, TooManyLogins, WrongCredentials
from school_billing.auth.hashing import hash_new_password, password_matches, rehash_if_outdated
from school_billing.auth.repository import Attempt, Sessions
from school_billing.auth.tokens import Tokens
from school_billing.platform.database.context import context
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.password_rules import password_problem
from school_billing.platform.web.problems import FieldError, InvalidBody

log = structlog.get_logger("school_billing.auth")


class LoginService:
    """Lets users in and out; counts who tries."""

    def __init__(self, sessions: Sessions, tokens: Tokens, metrics: Metrics) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._metrics = metrics

    async def log_in(self, login: Login, address: str | None) -> SessionTokens:
        """Begin a session.

        Raises:
            TooManyLogins: Too many failed, of this account or from this address.
            WrongCredentials: There is no such user, the password is another, or the user is disabled.
        """
        attempt = await self._verify(login.username, login.password, address, login.refresh_token)
        if attempt is not None and attempt.password_hash is not None:
            context().actor = attempt.username
            rehashed = await rehash_if_outdated(attempt.password_hash, login.password, address)
            started = await self._sessions.start(attempt, address, rehashed)
            if started is not None:
                session, refresh_token = started
                self._metrics.logins.labels("succeeded").inc()
                return self._pair(self._tokens.issue(session.user_id, session.session_id), refresh_token)
            await self._sessions.note_failure(attempt, address)
        self._metrics.logins.labels("refused").inc()
        raise WrongCredentials

    async def refresh(self, token: str, address: str | None) -> SessionTokens:
        """Continue a session with a new pair of tokens.

        Raises:
            InvalidRefreshToken: The token is unknown or spent, or the session is over.
        """
        refreshed, refresh_token = await self._sessions.refresh(token, address)
        if refreshed.was_spent:
            log.warning("a spent refresh token was presented; its session has ended")
        if refreshed.session_id is None or refreshed.user_id is None:
            self._metrics.refreshes.labels("reused" if refreshed.was_spent else "refused").inc()
            raise InvalidRefreshToken
        self._metrics.refreshes.labels("succeeded").inc()
        return self._pair(self._tokens.issue(refreshed.user_id, refreshed.session_id), refresh_token)

    async def log_out(self, token: str) -> None:
        """End the session of a refresh token; nothing happens where there is none."""
        await self._sessions.end(token)

    async def change_password(self, username: str, change: PasswordChange, address: str | None) -> None:
        """Give a user another password, and end all the user's sessions.

        Raises:
            TooManyLogins: Too many log-ins failed, of this account or from this address.
            InvalidBody: The current password is another, or the new one breaks a rule.
        """
        if problem := password_problem(username, change.new_password):
            raise InvalidBody(errors=[FieldError("new_password", problem)])
        attempt = await self._verify(username, change.current_password, address)
        if attempt is not None:
            new_password_hash = await hash_new_password(change.new_password, address)
            if await self._sessions.change_password(attempt, new_password_hash):
                return
        raise InvalidBody(errors=[FieldError("current_password", "This is not your password")])

    async def _verify(
        self, username: str, password: str, address: str | None, known_by: str | None = None
    ) -> Attempt | None:
        """Return the attempt where the password is the account's; note the failure where it is not.

        Whether there is such an account makes no difference in what is done, so that it makes none in time.
        """
        attempt = await self._sessions.attempt(username, address, known_by)
        if attempt.retry_after_seconds is not None:
            await self._sessions.uncount(attempt)
            self._metrics.logins.labels("throttled").inc()
            raise TooManyLogins(retry_after_seconds=attempt.retry_after_seconds)
        is_wrong = False
        try:
            is_wrong = not await password_matches(attempt.password_hash, password, address)
        finally:
            if not is_wrong:
                # It was right, or nobody had the time to look at it: no guess either way.
                await self._sessions.uncount(attempt)
        if is_wrong:
            await self._sessions.note_failure(attempt, address)
            return None
        return attempt

    def _pair(self, access_token: str, refresh_token: str) -> SessionTokens:
        return SessionTokens(
            access_token=access_token,
            token_type="Bearer",  # noqa: S106 - a kind of token, not a token.
            expires_in=self._tokens.lifetime_seconds,
            refresh_token=refresh_token,
        )

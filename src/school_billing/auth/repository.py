"""The tables of log-ins: login_throttles, sessions and refresh_tokens."""

from uuid import UUID

from msgspec import Struct

from school_billing.auth.addresses import site_of
from school_billing.auth.secrets import REFRESH_TOKEN_PREFIX, hash_secret, new_secret
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings


class Attempt(Struct, frozen=True):
    """An attempt to log in, and the account with that username."""

    user_id: UUID | None
    username: str | None
    password_hash: str | None
    """None if there is no such account, or if it is disabled."""
    school_id: UUID | None
    session_generation: int | None
    buckets: list[bytes]
    """The counters that counted this attempt."""
    retry_after_seconds: int | None
    """The seconds until the next attempt is allowed; None if this one is allowed."""


class StartedSession(Struct, frozen=True):
    """A new session."""

    session_id: UUID
    user_id: UUID


class Refreshed(Struct, frozen=True):
    """The outcome of a refresh."""

    session_id: UUID | None
    """The session that continues; None if the token is not valid."""
    user_id: UUID | None
    was_spent: bool
    """Whether the token was used before, which has ended its session."""
    retry_after_seconds: int | None
    """The seconds until the next refresh of the session is allowed; None if this one is allowed."""


ATTEMPT = Query("auth/count_attempt", Attempt)
AUDIT_FAILURE = Query("auth/audit_failed_login", bool)
UNCOUNT_ATTEMPTS = Query("auth/uncount_attempts", int)
START_SESSION = Query("auth/start_session", StartedSession)
REFRESH_SESSION = Query("auth/refresh_session", Refreshed)
PRUNE = Query("auth/prune", int)
END_SESSION = Query("auth/end_session", bool)
CHANGE_PASSWORD = Query("auth/change_password", bool)


REFRESHES_MOST = 100
"""How many refreshes of one session a window allows. A client needs one for each access token."""

_BATCH_SIZE = 1_000


class Sessions:
    """Sessions, from the attempt to log in to their end."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def attempt(self, username: str, address: str | None, refresh_token: str | None = None) -> Attempt:
        """Count an attempt to log in, and return the account. `refresh_token` is of an earlier session, if any."""
        return await self._database.one(
            ATTEMPT,
            username=username.lower(),
            address=address,
            site=site_of(address),
            refresh_token_hash=None if refresh_token is None else hash_secret(refresh_token),
            most_per_account=self._settings.login_attempts_per_account,
            most_per_address=self._settings.login_attempts_per_address,
            window_seconds=self._settings.login_window_seconds,
        )

    async def audit_failure(self, attempt: Attempt, address: str | None) -> None:
        """Add a failed attempt to the audit trail."""
        await self._database.one(
            AUDIT_FAILURE,
            user_id=attempt.user_id,
            school_id=attempt.school_id,
            username=attempt.username,
            address=address,
        )

    async def uncount(self, attempt: Attempt) -> None:
        """Take an attempt off its counters, because it was no wrong guess."""
        await self._database.one(UNCOUNT_ATTEMPTS, buckets=attempt.buckets)

    async def start(
        self, attempt: Attempt, address: str | None, new_password_hash: str | None
    ) -> tuple[StartedSession, str] | None:
        """Start a session after a right password, and return it with its first refresh token.

        None if the user was disabled or got another password in the meantime.
        """
        token = new_secret(REFRESH_TOKEN_PREFIX)
        session = await self._database.one_or_none(
            START_SESSION,
            user_id=attempt.user_id,
            generation=attempt.session_generation,
            password_hash=attempt.password_hash,
            new_password_hash=new_password_hash,
            address=address,
            token_hash=hash_secret(token),
            lifetime_seconds=self._settings.session_days * 86_400,
        )
        return None if session is None else (session, token)

    async def refresh(self, token: str, address: str | None) -> tuple[Refreshed, str]:
        """Use a refresh token up, and return the outcome with the session's next refresh token."""
        new_token = new_secret(REFRESH_TOKEN_PREFIX)
        refreshed = await self._database.one(
            REFRESH_SESSION,
            token_hash=hash_secret(token),
            new_token_hash=hash_secret(new_token),
            address=address,
            most=REFRESHES_MOST,
            window_seconds=self._settings.login_window_seconds,
        )
        return refreshed, new_token

    async def prune(self) -> None:
        """Delete what log-ins left behind: old counters, and sessions that expired 90 days ago, with their tokens."""
        while await self._database.one(PRUNE, limit=_BATCH_SIZE) >= _BATCH_SIZE:
            pass

    async def end(self, token: str) -> None:
        """End the session of a refresh token, if it has not ended."""
        await self._database.one_or_none(END_SESSION, token_hash=hash_secret(token))

    async def change_password(self, attempt: Attempt, new_password_hash: str) -> bool:
        """Set a new password after a right one, and end all sessions. False if it changed in the meantime."""
        hashes = {"password_hash": attempt.password_hash, "new_password_hash": new_password_hash}
        return await self._database.one_or_none(CHANGE_PASSWORD, user_id=attempt.user_id, **hashes) is not None

"""Logging in: the throttles, the sessions and their refresh tokens."""

from uuid import UUID

from msgspec import Struct

from school_billing.auth.secrets import REFRESH_TOKEN_PREFIX, hash_secret, new_secret
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query


class Attempt(Struct, frozen=True):
    """An attempt to log in: the account of that name, and whether it may be tried."""

    user_id: UUID | None
    username: str | None
    password_hash: str | None
    """None where there is no such account, or it is disabled."""
    school_id: UUID | None
    session_generation: int | None
    buckets: list[bytes]
    """Where it was counted, for it to be taken off."""
    retry_after_seconds: int | None
    """For how long nobody may try; None where this one may."""


class StartedSession(Struct, frozen=True):
    """A session that began."""

    session_id: UUID
    user_id: UUID


class Refreshed(Struct, frozen=True):
    """What became of a refresh token."""

    session_id: UUID | None
    """The session that goes on; None where none does."""
    user_id: UUID | None
    was_spent: bool
    """Whether the token was an old one, and the session has ended for it."""


class EndedSession(Struct, frozen=True):
    """A session that ended."""

    session_id: UUID
    user_id: UUID


class ChangedPassword(Struct, frozen=True):
    """A user whose password changed."""

    user_id: UUID


class Noted(Struct, frozen=True):
    """That something is in the audit trail."""

    noted: bool


class Uncounted(Struct, frozen=True):
    """How many counters an attempt was taken off."""

    uncounted: int


class LoginLimits(Struct, frozen=True):
    """How many log-ins may fail in a window, and how long that is."""

    per_account: int
    """From one address; from all together ten times as many."""
    per_address: int
    window_seconds: int


ATTEMPT = Query(
    "auth/count_attempt",
    Attempt,
    username=str,
    address=str | None,
    known_by=bytes | None,
    most_per_account=int,
    most_per_address=int,
    window_seconds=int,
)
NOTE_FAILURE = Query(
    "auth/audit_failed_login",
    Noted,
    user_id=UUID | None,
    school_id=UUID | None,
    username=str | None,
    address=str | None,
)
UNCOUNT_ATTEMPTS = Query("auth/uncount_attempts", Uncounted, buckets=list[bytes])
START_SESSION = Query(
    "auth/start_session",
    StartedSession,
    user_id=UUID,
    generation=int,
    password_hash=str,
    new_password_hash=str | None,
    address=str | None,
    token_hash=bytes,
    lifetime_seconds=int,
)
REFRESH_SESSION = Query(
    "auth/refresh_session",
    Refreshed,
    token_hash=bytes,
    new_token_hash=bytes,
    address=str | None,
)
END_SESSION = Query("auth/end_session", EndedSession, token_hash=bytes)
CHANGE_PASSWORD = Query(
    "auth/change_password",
    ChangedPassword,
    user_id=UUID,
    password_hash=str,
    new_password_hash=str,
)


class Sessions:
    """Sessions, from the attempt to log in to their end."""

    def __init__(self, database: Database, limits: LoginLimits, lifetime_seconds: int) -> None:
        self._database = database
        self._limits = limits
        self._lifetime_seconds = lifetime_seconds

    async def attempt(self, username: str, address: str | None, known_by: str | None = None) -> Attempt:
        """Count an attempt to log in, and return the account that it is for.

        `known_by` is a refresh token that the caller had of an earlier session, if any.
        """
        return await self._database.one(
            ATTEMPT,
            username=username.lower(),
            address=address,
            known_by=None if known_by is None else hash_secret(known_by),
            most_per_account=self._limits.per_account,
            most_per_address=self._limits.per_address,
            window_seconds=self._limits.window_seconds,
        )

    async def note_failure(self, attempt: Attempt, address: str | None) -> None:
        """Tell the audit trail that an attempt failed."""
        await self._database.one(
            NOTE_FAILURE,
            user_id=attempt.user_id,
            school_id=attempt.school_id,
            username=attempt.username,
            address=address,
        )

    async def uncount(self, attempt: Attempt) -> None:
        """Take an attempt off its counters, because it did not guess a password."""
        await self._database.one(UNCOUNT_ATTEMPTS, buckets=attempt.buckets)

    async def start(
        self, attempt: Attempt, address: str | None, new_password_hash: str | None
    ) -> tuple[StartedSession, str] | None:
        """Begin a session for the account of an attempt whose password was right.

        Returns:
            The session and its first refresh token; None where the user is disabled or got another password
            meanwhile.
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
            lifetime_seconds=self._lifetime_seconds,
        )
        return None if session is None else (session, token)

    async def refresh(self, token: str, address: str | None) -> tuple[Refreshed, str]:
        """Spend a refresh token; return what became of it, and the next token of the session that goes on."""
        new_token = new_secret(REFRESH_TOKEN_PREFIX)
        refreshed = await self._database.one(
            REFRESH_SESSION,
            token_hash=hash_secret(token),
            new_token_hash=hash_secret(new_token),
            address=address,
        )
        return refreshed, new_token

    async def end(self, token: str) -> None:
        """End the session of a refresh token, if there is one that goes on."""
        await self._database.one_or_none(END_SESSION, token_hash=hash_secret(token))

    async def change_password(self, attempt: Attempt, new_password_hash: str) -> bool:
        """Give the account of an attempt whose password was right a new one, and end its sessions.

        Returns:
            Whether it was done: not where the password changed meanwhile.
        """
        changed = await self._database.one_or_none(
            CHANGE_PASSWORD,
            user_id=attempt.user_id,
            password_hash=attempt.password_hash,
            new_password_hash=new_password_hash,
        )
        return changed is not None

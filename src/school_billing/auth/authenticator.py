"""Checks sessions and API keys in the database, for every request.

Requests that arrive while a look-up runs share the next one. So the answer is never older than the request, and under
load one look-up serves many requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from typing import Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from school_billing.auth.contracts import Caller, Role
from school_billing.auth.secrets import hash_secret
from school_billing.auth.tokens import Claims
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query

Key = TypeVar("Key")
Value = TypeVar("Value")


class ValidSession(Struct, frozen=True):
    """A valid session and its user."""

    session_id: UUID
    user_id: UUID
    username: str
    role: str
    school_id: UUID | None


class ValidKey(Struct, frozen=True):
    """A valid API key."""

    key_hash: bytes
    key_id: UUID
    name: str
    key_prefix: str
    role: str
    school_id: UUID | None
    is_stale: bool
    """Whether last_used_at is more than a minute ago."""


VALID_SESSIONS = Query("auth/valid_sessions", ValidSession)
VALID_KEYS = Query("auth/valid_keys", ValidKey)
MARK_KEY_USED = Query("auth/mark_key_used", bool)


class Authenticator:
    """Finds the caller of a request by the current state of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions = BatchLoader[UUID, ValidSession](self._load_sessions)
        self._keys = BatchLoader[bytes, ValidKey](self._load_keys)

    async def of_session(self, claims: Claims) -> Caller | None:
        """Return the caller of an access token; None if the session has ended or the user is disabled."""
        session = await self._sessions.load(claims.session_id)
        if session is None or session.user_id != claims.user_id:
            return None
        return Caller(session.username, Role(session.role), session.school_id, session.user_id)

    async def of_key(self, secret: str) -> Caller | None:
        """Return the caller of an API key, and record its use; None if it is unknown or revoked."""
        key = await self._keys.load(hash_secret(secret))
        if key is None:
            return None
        if key.is_stale:
            await self._database.one_or_none(MARK_KEY_USED, key_id=key.key_id)
        return Caller(f"key:{key.name} ({key.key_prefix})", Role(key.role), key.school_id)

    async def _load_sessions(self, session_ids: list[UUID]) -> Mapping[UUID, ValidSession]:
        sessions = await self._database.all(VALID_SESSIONS, session_ids=session_ids)
        return {session.session_id: session for session in sessions}

    async def _load_keys(self, key_hashes: list[bytes]) -> Mapping[bytes, ValidKey]:
        keys = await self._database.all(VALID_KEYS, key_hashes=key_hashes)
        return {key.key_hash: key for key in keys}


class BatchLoader(Generic[Key, Value]):
    """Loads values by key. Keys that are requested while a batch loads are loaded together in the next one."""

    def __init__(self, load_batch: Callable[[list[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        self._load_batch = load_batch
        self._waiting: dict[Key, list[asyncio.Future[Value | None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._context: Context | None = None

    async def load(self, key: Key) -> Value | None:
        """Return the value of `key`, read after this call, or None. An error of the batch reaches all its callers."""
        future: asyncio.Future[Value | None] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            # Logs and traces show the batch as part of its first request.
            self._context = copy_context()
        self._waiting.setdefault(key, []).append(future)
        if self._task is None:
            self._start()
        return await future

    def _start(self) -> None:
        # In a task of its own: a request that is cancelled must not cancel the batch of the others.
        self._task = asyncio.create_task(self._load_all(), context=self._context)

    async def _load_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        values: Mapping[Key, Value] = {}
        failure: Exception | None = None
        try:
            values = await self._load_batch(list(waiting))
        except Exception as error:  # Each waiting request raises it.
            failure = error
        for key, futures in waiting.items():
            for future in futures:
                if future.done():
                    continue  # The request was cancelled.
                if failure is None:
                    future.set_result(values.get(key))
                else:
                    future.set_exception(failure)
        self._task = None
        if self._waiting:
            self._start()

"""Admission: whether a session or a key is good at this very moment. The database is asked before every request.

Requests that arrive while a question is under way wait for the next one, which asks for all of them at once: each gets
an answer that was asked for after it arrived, and under load a question is shared by many.
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
Answer = TypeVar("Answer")


class AdmittedSession(Struct, frozen=True):
    """A session that is good, and its user."""

    session_id: UUID
    user_id: UUID
    username: str
    role: str
    school_id: UUID | None


class AdmittedKey(Struct, frozen=True):
    """An API key that is good."""

    key_hash: bytes
    key_id: UUID
    name: str
    key_prefix: str
    role: str
    school_id: UUID | None
    is_stale: bool
    """Whether its last use should be noted anew."""


class TouchedKey(Struct, frozen=True):
    """A key whose last use was noted."""

    key_id: UUID


VALID_SESSIONS = Query("auth/valid_sessions", AdmittedSession, session_ids=list[UUID])
VALID_KEYS = Query("auth/valid_keys", AdmittedKey, key_hashes=list[bytes])
MARK_KEY_USED = Query("auth/mark_key_used", TouchedKey, key_id=UUID)


class Admission:
    """Says who a caller is, as the database has it now."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions = SharedQuestion[UUID, AdmittedSession](self._ask_sessions)
        self._keys = SharedQuestion[bytes, AdmittedKey](self._ask_keys)

    async def of_session(self, claims: Claims) -> Caller | None:
        """Return whom an access token stands for; None where the session is over or the user disabled."""
        session = await self._sessions.ask(claims.session_id)
        if session is None or session.user_id != claims.user_id:
            return None
        return Caller(session.username, Role(session.role), session.school_id, session.user_id)

    async def of_key(self, key: str) -> Caller | None:
        """Return whom an API key stands for, and note that it was used; None where there is none or it is revoked."""
        found = await self._keys.ask(hash_secret(key))
        if found is None:
            return None
        if found.is_stale:
            await self._database.one_or_none(MARK_KEY_USED, key_id=found.key_id)
        return Caller(f"key:{found.name} ({found.key_prefix})", Role(found.role), found.school_id)

    async def _ask_sessions(self, session_ids: list[UUID]) -> Mapping[UUID, AdmittedSession]:
        found = await self._database.all(VALID_SESSIONS, session_ids=session_ids)
        return {session.session_id: session for session in found}

    async def _ask_keys(self, key_hashes: list[bytes]) -> Mapping[bytes, AdmittedKey]:
        found = await self._database.all(VALID_KEYS, key_hashes=key_hashes)
        return {key.key_hash: key for key in found}


class SharedQuestion(Generic[Key, Answer]):
    """Asks for many keys at once: those that come while a question is under way share the next one."""

    def __init__(self, ask: Callable[[list[Key]], Awaitable[Mapping[Key, Answer]]]) -> None:
        self._ask = ask
        self._waiting: dict[Key, list[asyncio.Future[Answer | None]]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._context: Context | None = None

    async def ask(self, key: Key) -> Answer | None:
        """Return the answer for `key`, from a question put after this call; None where there is none.

        Raises:
            DatabaseUnavailable: The question could not be put.
        """
        mine: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            # Logs and traces know the question as that of whoever comes first.
            self._context = copy_context()
        self._waiting.setdefault(key, []).append(mine)
        if self._asking is None:
            self._begin()
        return await mine

    def _begin(self) -> None:
        # A task of its own: a caller who leaves must not take the others' answers along.
        self._asking = asyncio.create_task(self._ask_for_all(), context=self._context)

    async def _ask_for_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        answers: Mapping[Key, Answer] = {}
        failure: Exception | None = None
        try:
            answers = await self._ask(list(waiting))
        except Exception as error:  # Whatever it is, those who wait get it.
            failure = error
        for key, futures in waiting.items():
            for future in futures:
                if future.done():
                    continue  # The caller has left.
                if failure is None:
                    future.set_result(answers.get(key))
                else:
                    future.set_exception(failure)
        self._asking = None
        if self._waiting:
            self._begin()

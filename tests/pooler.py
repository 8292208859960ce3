"""A pooler of transactions, as PgBouncer in transaction mode: what a client says next may reach another connection.

It is the worst of its kind, for it changes the connection whenever it may, and knows no prepared statements, like those
before PgBouncer 1.21.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_ASKS = {struct.pack("!i", kind) for kind in (3, 5, 10, 11)}
"""The kinds of authentication request that the client answers."""
IGNORED = {"statement_timeout", "lock_timeout"}
"""As `ignore_startup_parameters` of PgBouncer, which refuses what is neither named there nor known to it."""
KNOWN = {
    "user",
    "database",
    "client_encoding",
    "datestyle",
    "timezone",
    "standard_conforming_strings",
    "application_name",
}


class _Connection:
    """A connection to PostgreSQL, and the client that has it at the moment."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.client: asyncio.StreamWriter | None = None
        self.awaited = 0


class Pooler:
    """Passes on what clients say to the database at `database_url`, one transaction at a time."""

    def __init__(self, database_url: str) -> None:
        self._parts = urlsplit(database_url)
        self._idle: asyncio.Queue[_Connection] = asyncio.Queue()
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: list[_Connection] = []
        self.switches = 0
        """How often a client went on with another connection than before."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it goes."""
        self._clients.add(writer)
        try:
            last = connection = await self._log_in(reader, writer)
            while True:
                message = await _message(reader)
                if message[:1] == b"X":
                    break
                if connection.client is not writer:
                    connection = await self._idle.get()
                    connection.client = writer
                    self.switches += connection is not last
                    last = connection
                connection.awaited += message[:1] in {b"S", b"Q"}
                connection.writer.write(message)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._clients.discard(writer)

    async def close(self) -> None:
        """Hang up on everybody."""
        for writer in [*self._clients, *(connection.writer for connection in self._connections)]:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.gather(*self._tasks)

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Connection:
        """Let the client log in on a connection of its own, which is everybody's afterwards."""
        while True:
            (size,) = struct.unpack("!i", await reader.readexactly(4))
            startup = await reader.readexactly(size - 4)
            (code,) = struct.unpack("!i", startup[:4])
            if code not in {_SSL, _GSS}:
                break
            writer.write(b"N")
        if code == _CANCEL:
            raise ConnectionError
        words = startup[4:].rstrip(b"\0").split(b"\0")
        given = {name.decode(): value for name, value in zip(words[::2], words[1::2], strict=True)}
        for name in given:
            assert name.lower() in KNOWN | IGNORED, f"unsupported startup parameter: {name}"
        kept = b"".join(b"%s\0%s\0" % (name.encode(), value) for name, value in given.items() if name not in IGNORED)
        connection = _Connection(*await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432))
        self._connections.append(connection)
        connection.writer.write(struct.pack("!ii", len(kept) + 9, code) + kept + b"\0")
        while (message := await _message(connection.reader))[:1] != b"Z":
            writer.write(message)
            if message[:1] == b"R" and message[5:9] in _ASKS:
                connection.writer.write(await _message(reader))
        self._release(connection)
        writer.write(message)
        task = asyncio.create_task(self._pass_back(connection))
        self._tasks.add(task)
        return connection

    def _release(self, connection: _Connection) -> None:
        connection.client = None
        self._idle.put_nowait(connection)

    async def _pass_back(self, connection: _Connection) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                message = await _message(connection.reader)
                if connection.client is not None:
                    connection.client.write(message)
                if message[:1] == b"Z":
                    connection.awaited -= 1
                    if connection.awaited == 0 and message[-1:] == b"I":
                        self._release(connection)


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


@asynccontextmanager
async def pooler_of(database_url: str) -> AsyncIterator[tuple[Pooler, str]]:
    """Run a pooler in front of the database until the end of the block; yield it and the URL through it."""
    pooler = Pooler(database_url)
    server = await asyncio.start_server(pooler.answer, "127.0.0.1", 0)
    parts = urlsplit(database_url)
    user, _, _ = parts.netloc.rpartition("@")
    port = server.sockets[0].getsockname()[1]
    try:
        yield pooler, parts._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
    finally:
        server.close()
        await pooler.close()

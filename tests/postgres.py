"""The PostgreSQL that the tests run on: the one given, else a container's, else the embedded one."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from school_billing.platform.database.connecting import wait_for_database
from school_billing.serving.embedded import embedded_postgres
from tests.server import free_port

FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""What a database may give up that nobody needs tomorrow."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a database whose server the tests may fill with databases of their own."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        if "test" not in database_name(url):
            raise ValueError("TEST_DATABASE_URL must name a database with 'test' in its name.")
        yield url
    elif docker_answers():
        with container() as url:
            yield url
    else:
        with (
            tempfile.TemporaryDirectory(prefix="school-billing-test-") as folder,
            embedded_postgres(Path(folder), settings=FAST | {"max_connections": "200"}) as url,
        ):
            yield url


class Postgres:
    """An embedded PostgreSQL on a fixed port, so that it can come back where it was."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = {"port": str(free_port()), "full_page_writes": "on", "fsync": "off"} | settings
        self._stack = ExitStack()
        self.url = ""

    def start(self) -> None:
        """Start it; from the thread that lives longest."""
        self.url = self._stack.enter_context(embedded_postgres(self._folder, settings=self._settings))

    def stop(self) -> None:
        """Stop it as an administrator would."""
        self._stack.close()

    def kill(self) -> None:
        """End it as a power failure would: it has to recover."""
        os.kill(self.pid, signal.SIGKILL)
        self._stack.close()

    @property
    def pid(self) -> int:
        """The number of the server's first process."""
        status = self._folder / "postgres" / "data" / "postmaster.pid"
        return int(status.read_text().split()[0])


def docker_answers() -> bool:
    """Tell whether there is a Docker engine to start a container on.

    Asked over a plain socket: the client's own ping leaves its socket open where nobody answers.
    """
    address = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(address.path)
        else:
            socket.create_connection((address.hostname or "", address.port or 2375), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def container() -> Iterator[str]:
    """Run PostgreSQL 18 in a container."""
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - slow to import, and needed only here.

    with PostgresContainer("postgres:18", driver=None).with_command(
        "postgres " + " ".join(f"-c {name}={value}" for name, value in FAST.items())
    ) as postgres:
        url = postgres.get_connection_url()
        # Its port answers before the server behind it does.
        wait_for_database(url, 60)
        yield url


def database_name(url: str) -> str:
    """Return the name of the database of `url`."""
    return urlsplit(url).path.lstrip("/")


def beside(url: str, name: str) -> str:
    """Return the URL of the database `name` on the server of `url`."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def create_database(server_url: str, name: str, template: str = "template1") -> str:
    """Make the database `name` from a template, and return its URL."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    return beside(server_url, name)


def drop_database(server_url: str, name: str) -> None:
    """Drop the database `name`, whoever is connected to it."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

"""What all tests share: one server a run, one template, one database a worker."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import argon2
import httpx
import pytest

from school_billing.app import create_app
from school_billing.auth import passwords
from school_billing.auth.contracts import Role
from school_billing.platform.database.migrations import migrate
from school_billing.platform.observability.middleware import Observed
from school_billing.platform.settings import Settings
from tests.accounts import log_in
from tests.api import Api, client_of
from tests.postgres import create_database, database_name, drop_database, postgres_server
from tests.server import Server, serve

_SERVER = pytest.StashKey[str]()
_TEMPLATE = pytest.StashKey[str]()
_CLEAN_UP = pytest.StashKey[ExitStack]()

# A shell that runs the tests in the background has them ignore Ctrl-C, and the servers that they start would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Containers often keep Python from storing what it compiled. The tests start it a hundred times, and each start would
# compile the framework again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The hashes of the application in this process cost nothing. The servers of the tests have the real ones.
passwords._hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
passwords._NO_PASSWORD = passwords._hasher.hash("nobody's")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A unit test is a smoke test: it needs no database."""
    for item in items:
        if Path(__file__).parent / "unit" in item.path.parents:
            item.add_marker(pytest.mark.smoke)
    # Begin with the tests that take a minute, so that no worker is left with one of them in the end.
    items.sort(key=lambda item: "makes_a_server_error" not in item.name)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the server and make the migrated template, once: in the process that hands out the work."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.markexpr == "smoke":
        return
    with ExitStack() as stack:
        server_url = stack.enter_context(postgres_server())
        template = f"school_billing_test_template_{os.getpid()}"
        stack.callback(drop_database, server_url, template)
        migrate(create_database(server_url, template))
        config.stash[_SERVER], config.stash[_TEMPLATE] = server_url, template
        # All is there, so all stays until the session ends; had anything failed, it would go now.
        config.stash[_CLEAN_UP] = stack.pop_all()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave nothing behind."""
    if stack := session.config.stash.get(_CLEAN_UP, None):
        stack.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist where the server is."""
    stash = node.config.stash
    node.workerinput["server_url"] = stash.get(_SERVER, "")
    node.workerinput["template"] = stash.get(_TEMPLATE, "")


@pytest.fixture(scope="session")
def server_url(pytestconfig: pytest.Config) -> str:
    """The URL of the server's own database."""
    given = getattr(pytestconfig, "workerinput", None)
    return str(given["server_url"]) if given else pytestconfig.stash[_SERVER]


@pytest.fixture(scope="session")
def new_database(pytestconfig: pytest.Config, server_url: str) -> Iterator[Callable[..., str]]:
    """Makes a migrated or empty database, or a copy of one that nobody uses, and returns its URL; all go at the end."""
    given = getattr(pytestconfig, "workerinput", None)
    migrated = given["template"] if given else pytestconfig.stash[_TEMPLATE]
    names: list[str] = []

    def make(*, empty: bool = False, copy_of: str = "") -> str:
        name = f"school_billing_test_{uuid4().hex}"
        names.append(name)
        return create_database(server_url, name, "template1" if empty else database_name(copy_of) or migrated)

    yield make
    for name in names:
        drop_database(server_url, name)


@pytest.fixture(scope="session")
def database_url(new_database: Callable[..., str]) -> str:
    """The worker's own migrated database."""
    return new_database()


@pytest.fixture(scope="session")
def settings(database_url: str) -> Settings:
    """Development settings on the worker's database."""
    return Settings(
        database_url=database_url, database_pool_max=20, database_acquire_timeout_ms=20_000, overdue_interval_seconds=0
    )


@asynccontextmanager
async def running(service: Observed) -> AsyncIterator[None]:
    """Start the application, and stop it at the end of the block.

    Its lifespan must end in the task in which it began, which the two halves of a fixture are not.
    """
    started, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with service.litestar.lifespan():
            started.set()
            await stop.wait()

    life = asyncio.create_task(live())
    await asyncio.wait({life, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        await life
    yield
    stop.set()
    await life


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[Observed]:
    """The application, started."""
    service = create_app(settings)
    async with running(service):
        yield service


@pytest.fixture(scope="session")
def make_client(app: Observed, settings: Settings) -> Callable[..., httpx.AsyncClient]:
    """Makes an HTTP client of the application, with a token of the role or with none."""

    def make(role: Role | None = None, school_id: Any = None, username: str = "") -> httpx.AsyncClient:
        headers = {}
        if role is not None:
            token = log_in(settings.database_url, settings.jwt_secret, role, school_id, username)
            headers["Authorization"] = f"Bearer {token}"
        return client_of(app, **headers)

    return make


@pytest.fixture(scope="session")
async def client(make_client: Callable[..., httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an administrator's token."""
    async with make_client(Role.ADMIN, username="tester") as http:
        yield http


@pytest.fixture(scope="session")
async def anonymous(make_client: Callable[..., httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with make_client() as http:
        yield http


@pytest.fixture(scope="session")
def api(client: httpx.AsyncClient) -> Api:
    """The API in the words of the domain."""
    return Api(client)


@pytest.fixture(scope="session")
def server(database_url: str) -> Iterator[Server]:
    """The real server on the worker's own database."""
    with serve(database_url) as running:
        yield running

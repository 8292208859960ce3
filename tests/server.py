"""The real server: `school-billing serve` as a process, on a port of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from school_billing.auth.contracts import Role
from school_billing.platform.settings import DEVELOPMENT_JWT_SECRET
from tests.accounts import log_in


class Server:
    """A server that runs."""

    def __init__(self, url: str, database_url: str, process: "subprocess.Popen[str]") -> None:
        self.url = url
        self.database_url = database_url
        self.process = process

    @property
    def admin(self) -> dict[str, str]:
        """The headers of an administrator."""
        return self.logged_in(Role.ADMIN, username="admin")

    def logged_in(self, role: Role, school_id: object = None, username: str = "") -> dict[str, str]:
        """Return the headers of a user of that role and school."""
        token = log_in(self.database_url, DEVELOPMENT_JWT_SECRET, role, school_id, username)
        return {"Authorization": f"Bearer {token}"}


def command(
    database_url: str, *arguments: str, typed: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command of the service on a database to its end, whatever that is; `typed` comes from a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "school_billing", *arguments],
        env=os.environ | {"DATABASE_URL": database_url, **environment},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def free_port() -> int:
    """Return a port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(database_url: str, port: int, log: Path | None = None, workers: int = 1, /, **environment: str) -> Server:
    """Start the server and return at once; what it logs goes to the file `log`. Workers share a process group."""
    arguments = [f"--workers={workers}"] if workers > 1 else []
    with Path(log or os.devnull).open("a") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "school_billing", "serve", *arguments],
            env=os.environ | {"DATABASE_URL": database_url, "PORT": str(port), **environment},
            stderr=log_file,
            text=True,
            start_new_session=workers > 1,
        )
    return Server(f"http://127.0.0.1:{port}", database_url, process)


@contextmanager
def serve(database_url: str, log: Path | None = None, workers: int = 1, /, **environment: str) -> Iterator[Server]:
    """Run the server on `database_url` until the end of the block."""
    server = start(database_url, free_port(), log, workers, **environment)
    try:
        wait_until_healthy(server.url, server.process)
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=15)


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait until something is so; raise if it takes too long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} does not answer.")
        time.sleep(0.02)


def wait_until_healthy(url: str, process: "subprocess.Popen[str]", seconds: float = 30) -> None:
    """Wait until the server answers; raise if it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with {process.returncode}.")
        try:
            if httpx.get(f"{url}/health", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError("The server does not answer.")

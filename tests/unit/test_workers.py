"""Workers side by side: what they share, and how a supervisor keeps them running, here with small functions."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from school_billing.platform.settings import InvalidSettings, Settings
from school_billing.serving.server import FEWEST_CONNECTIONS, application, settings_of_workers

PROGRAM = """
import os, pathlib, signal, sys, time
from contextlib import suppress
from functools import partial
from school_billing.serving.workers import supervise

folder, stop_seconds, *kinds = sys.argv[1:]

def note(what):
    pathlib.Path(folder, f"{what}-{os.getpid()}").touch()

def work(kind, ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == "deaf" else lambda *_: sys.exit(0))
    note(kind)
    if kind == "fails":
        sys.exit(7)
    if kind != "never":
        with suppress(StopIteration):  # A loop takes a while to start, and a stop in that while warns of the coroutine.
            ready().send(None)
    note("running")
    while True:
        time.sleep(0.05)  # A signal in the moment before a sleep begins is heard only after it.

supervise([partial(work, kind) for kind in kinds], [], float(stop_seconds), lambda worker: note(f"told-of-{worker}"))
"""


@contextmanager
def supervisor(folder: Path, *kinds: str, stop_seconds: float = 10) -> Iterator["subprocess.Popen[str]"]:
    """Supervise a worker of each kind in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(stop_seconds), *kinds],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def noted(folder: Path, what: str) -> list[int]:
    """Return the process ids of the workers that have noted `what`."""
    return [int(path.name.rpartition("-")[2]) for path in folder.glob(f"{what}-*")]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(folder: Path, count: int) -> list[int]:
    """Wait until so many workers have been running, and return their process ids."""
    wait_for(lambda: len(noted(folder, "running")) == count)
    return noted(folder, "running")


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_that_cannot_start_ends_them_all_with_a_sentence(tmp_path: Path) -> None:
    with supervisor(tmp_path, "serves", "fails") as process:
        log, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert log == "school-billing: A worker ended with exit code 7 before it was ready to serve.\n"
    assert len(noted(tmp_path, "fails")) == 1, "it is not tried again"
    assert not any(map(lives, noted(tmp_path, "fails") + noted(tmp_path, "serves")))


def test_one_that_dies_is_replaced_and_a_stop_ends_all(tmp_path: Path) -> None:
    with supervisor(tmp_path, "serves", "serves") as process:
        first = running(tmp_path, 2)
        os.kill(first[0], signal.SIGKILL)
        everybody = running(tmp_path, 3)
        assert lives(first[1])
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "a worker died and is replaced" in log
    assert "was killed by SIGKILL" in log
    assert not any(map(lives, everybody))


def test_a_stop_kills_a_worker_that_does_not_end_in_time(tmp_path: Path) -> None:
    with supervisor(tmp_path, "deaf", stop_seconds=0.5) as process:
        (deaf,) = running(tmp_path, 1)
        process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "are killed" in log
    assert not lives(deaf)


def test_a_stop_during_the_start_is_no_failure(tmp_path: Path) -> None:
    with supervisor(tmp_path, "never", "never") as process:
        starting = running(tmp_path, 2)
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=20)
    assert (process.returncode, log) == (0, "")
    assert not any(map(lives, starting))


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_ends_all_and_only_the_supervisor_acts_on_it(tmp_path: Path, times: int) -> None:
    with supervisor(tmp_path, "serves", "never") as process:
        workers = running(tmp_path, 2)
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)
        log, _ = process.communicate(timeout=20)
    assert (process.returncode, log) == (0, "")
    assert not any(map(lives, workers))


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

"""A supervisor of worker processes: it replaces a worker that dies, and it stops all of them together.

uvicorn's own supervisor was tried, mended in a subclass of 80 lines, and four of the tests of workers failed: it polls,
so a worker that dies in the second after its start counts as one that cannot start, and Ctrl-C shows tracebacks.
"""

import mmap
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.context import ForkProcess
from typing import NamedTuple, TypeAlias

import structlog

from school_billing.serving.parent import end_with_parent

Ready: TypeAlias = Callable[[], Awaitable[None]]
Work: TypeAlias = Callable[[Ready], None]

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_fork = multiprocessing.get_context("fork")

log = structlog.get_logger("school_billing.serving.workers")


class _Worker(NamedTuple):
    work: Work
    process: ForkProcess
    was_ready: mmap.mmap
    """One byte of memory that the worker shares with the supervisor."""


def supervise(works: Sequence[Work], sockets: Sequence[socket.socket], stop_seconds: float) -> None:
    """Run each of `works` in a process of its own until SIGTERM or SIGINT; the last thing that a command does.

    A worker awaits its argument when it is ready. If it dies after that, a new one replaces it. The stop closes
    `sockets` at once, sends the workers SIGTERM, and kills those that have not ended after `stop_seconds`.

    The process must have one thread only. The signals stay blocked, so that a second Ctrl-C does not disturb the stop.

    Raises:
        SystemExit: A worker ended before it was ready. The next one would do the same, so all are stopped.
    """
    signal.signal(signal.SIGCHLD, lambda *_: None)  # A signal without a handler may be lost, although it is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    workers = [_start(work) for work in works]
    try:
        while signal.sigwait(_SIGNALS) == signal.SIGCHLD:
            for number, worker in enumerate(workers):
                if worker.process.is_alive():
                    continue
                if not worker.was_ready[0]:
                    sys.exit(f"school-billing: A worker {_ending(worker)} before it was ready to serve.")
                log.error("a worker died and is replaced", pid=worker.process.pid, ending=_ending(worker))
                workers[number] = _start(worker.work)
    finally:
        # While a process holds a port open, the kernel accepts connections that nobody will answer.
        for listener in sockets:
            listener.close()
        _stop([worker.process for worker in workers], stop_seconds)


def _start(work: Work) -> _Worker:
    was_ready = mmap.mmap(-1, 1)
    process = _fork.Process(target=_run, args=(work, was_ready, os.getpid()))
    process.start()
    return _Worker(work, process, was_ready)


def _run(work: Work, was_ready: mmap.mmap, supervisor: int) -> None:
    end_with_parent(supervisor)
    # SIGINT stays blocked: Ctrl-C reaches every process of a terminal, but only the supervisor decides what to do.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS - {signal.SIGINT})

    async def ready() -> None:
        was_ready[0] = 1

    work(ready)


def _stop(processes: Sequence[ForkProcess], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(0, deadline - time.monotonic()))
    if late := [process for process in processes if process.is_alive()]:
        log.error("workers did not stop and are killed", pids=[process.pid for process in late])
    for process in late:
        process.kill()
        process.join()


def _ending(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

"""A supervisor of worker processes: it replaces a worker that dies, and it stops all of them together.

uvicorn's own supervisor was tried, mended in a subclass of 80 lines, and four of the tests of workers failed: it polls,
so a worker that dies in the second after its start counts as one that cannot start, and Ctrl-C shows tracebacks.
"""

import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.context import ForkProcess
from typing import TypeAlias

import structlog

from school_billing.serving.parent import end_with_parent

Ready: TypeAlias = Callable[[], Awaitable[None]]
Work: TypeAlias = Callable[[Ready], None]
"""The work of a worker, which awaits its argument when it is ready."""

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

log = structlog.get_logger("school_billing.serving.workers")


def supervise(
    works: Sequence[Work], sockets: Sequence[socket.socket], stop_seconds: float, on_death: Callable[[int], None]
) -> None:
    """Run each of `works` in its own process until SIGTERM or SIGINT.

    Call this last, and with no other thread than the one that waits for the embedded PostgreSQL. A worker that dies is
    replaced if it was ready, and `on_death` gets its process id. If it was not ready, its replacement would die, so all
    workers are stopped. The stop closes `sockets`, sends SIGTERM to the workers, and kills the workers that still
    run after `stop_seconds`. The signals stay blocked, so a second Ctrl-C does not interrupt the stop.
    """
    signal.signal(signal.SIGCHLD, lambda *_: None)  # Without a handler some systems drop it, even if it is blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    workers = [_Worker(work) for work in works]
    try:
        while signal.sigwait(_SIGNALS) == signal.SIGCHLD:
            for number, worker in enumerate(workers):
                if worker.is_alive():
                    continue
                if not worker.was_ready[0]:
                    sys.exit(f"school-billing: A worker {worker.ending} before it was ready to serve.")
                log.error("a worker died and is replaced", pid=worker.pid, ending=worker.ending)
                on_death(worker.pid or 0)
                workers[number] = _Worker(worker.work)
    finally:
        # While a process holds a port open, the kernel accepts connections that no process will answer.
        for listener in sockets:
            listener.close()
        _stop(workers, stop_seconds)


class _Worker(ForkProcess):
    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work
        self.was_ready = mmap.mmap(-1, 1)  # One byte of memory that both processes share.
        self._supervisor = os.getpid()
        self.start()

    def run(self) -> None:
        end_with_parent(self._supervisor)
        # SIGINT stays blocked: Ctrl-C reaches all processes of a terminal, and the supervisor stops the workers.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS - {signal.SIGINT})
        self.work(self._ready)

    async def _ready(self) -> None:
        self.was_ready[0] = 1

    @property
    def ending(self) -> str:
        code = self.exitcode or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _stop(workers: Sequence[_Worker], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(max(0, deadline - time.monotonic()))
    if late := [worker for worker in workers if worker.is_alive()]:
        log.error("workers did not stop and are killed", pids=[worker.pid for worker in late])
    for worker in late:
        worker.kill()
        worker.join()

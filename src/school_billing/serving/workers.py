"""Processes that work side by side: one that dies is replaced, and all end together.

uvicorn has a supervisor as well. It keeps the port open while it stops, so that callers wait for an answer that nobody
gives; it starts a worker with a broken import again and again, and ends with exit code 0 when none could start; Ctrl-C
in the middle of a start shows tracebacks; SIGHUP and SIGTTIN make it run more workers than there are connections for.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PAUSE_SECONDS = 0.01

log = structlog.get_logger("school_billing.serving.workers")


class WorkerFailed(Exception):
    """A worker ended before it was ready, and the next would do the same; the message says how it ended."""


class Work(msgspec.Struct, frozen=True):
    """How a worker is started: its command, which gets file descriptors as further arguments, and its environment.

    The first descriptor is the worker's end of a socket, on which it sends one byte when it is ready and which it
    keeps open while it lives. The others are the listening sockets.
    """

    command: Sequence[str]
    environment: Mapping[str, str]


async def keep_working(works: Sequence[Work], sockets: Sequence[socket.socket], stop_seconds: float) -> None:
    """Run a worker for each of `works` until SIGTERM or SIGINT, and then stop them all; in the main thread.

    A worker that dies at its work is replaced by one that is started in the same way. The stop closes `sockets` at
    once, tells the workers by SIGTERM, and kills those that have not ended after `stop_seconds`.

    Raises:
        WorkerFailed: A worker could not be started; the others are stopped.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        loop.add_signal_handler(number, stop.set)
    try:
        await _Team(stop, sockets).work(works, stop_seconds)
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


class _Team:
    def __init__(self, stop: asyncio.Event, sockets: Sequence[socket.socket]) -> None:
        self._stop = stop
        self._sockets = sockets
        self._living = set[subprocess.Popen[bytes]]()

    async def work(self, works: Sequence[Work], stop_seconds: float) -> None:
        keepers = [asyncio.create_task(self._keep(work)) for work in works]
        told = asyncio.create_task(self._stop.wait())
        # A keeper that is done before it is told to stop has failed.
        await asyncio.wait([told, *keepers], return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        await told
        # While anybody holds the port open, the kernel takes connections that nobody will answer.
        for listener in self._sockets:
            listener.close()
        for process in self._living:
            process.terminate()
        _, late = await asyncio.wait(keepers, timeout=stop_seconds)
        if late:
            log.error("workers did not stop and are killed", pids=[process.pid for process in self._living])
            for process in self._living:
                process.kill()
        for outcome in await asyncio.gather(*keepers, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _keep(self, work: Work) -> None:
        while not self._stop.is_set():
            process, was_ready = await self._run(work)
            if self._stop.is_set():
                return
            if not was_ready:
                raise WorkerFailed(f"A worker {_ending(process)} before it was ready to serve.")
            log.error("a worker died and is replaced", pid=process.pid, ending=_ending(process))

    async def _run(self, work: Work) -> "tuple[subprocess.Popen[bytes], bool]":
        """Run a worker to its end, and tell whether it had been ready."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                descriptors = [theirs.fileno(), *(listener.fileno() for listener in self._sockets)]
                process = subprocess.Popen(  # noqa: ASYNC220, S603 - it takes no longer; and it runs what is our own.
                    [*work.command, *map(str, descriptors)],
                    env=dict(work.environment),
                    pass_fds=descriptors,
                    preexec_fn=_before_exec(),  # noqa: PLW1509 - this process has no other thread.
                )
            self._living.add(process)
            try:
                ours.setblocking(False)
                loop = asyncio.get_running_loop()
                was_ready = bool(await loop.sock_recv(ours, 1))
                while await loop.sock_recv(ours, 1):
                    pass
                # Its descriptors are closed a moment before it can be waited for.
                while process.poll() is None:  # noqa: ASYNC110 - nothing tells of that moment without a thread
                    await asyncio.sleep(_PAUSE_SECONDS)
            finally:
                self._living.discard(process)
        return process, was_ready


def _before_exec() -> Callable[[], None]:
    """Return what a worker does between fork and exec.

    It goes deaf to Ctrl-C, which reaches all processes of a terminal, until it serves: in the middle of an import it
    would end with a traceback. And on Linux it is told to stop when this process dies, in whatever way.
    """
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Python's handler would note it and lose it at the exec.
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # The parent died before it could be noticed.

    return prepare


def _ending(process: "subprocess.Popen[bytes]") -> str:
    code = process.returncode
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

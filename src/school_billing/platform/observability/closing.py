"""An end for what might not end by itself: threads that wait for somebody else's server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import structlog

log = structlog.get_logger("school_billing.platform.observability")


async def close_within(seconds: float, *closers: Callable[[], object]) -> None:
    """Run `closers` side by side, off the event loop, and wait for them for so many seconds at the most."""
    loop = asyncio.get_running_loop()
    closed = [_in_a_thread(loop, closer) for closer in closers]
    if closed:
        _, late = await asyncio.wait(closed, timeout=seconds)
        if late:
            log.warning("telemetry was left behind: whom it goes to did not take it in time", seconds=seconds)


def _in_a_thread(loop: asyncio.AbstractEventLoop, closer: Callable[[], object]) -> "asyncio.Future[None]":
    closed: asyncio.Future[None] = loop.create_future()

    def close() -> None:
        try:
            closer()
        except Exception:  # The process ends either way.
            log.exception("telemetry did not close")
        finally:
            with suppress(RuntimeError):  # Nobody waits any more: the loop is closed.
                loop.call_soon_threadsafe(_mark, closed)

    # A daemon, and no thread of the loop's executor: the interpreter would wait for that one as long as it takes.
    Thread(target=close, daemon=True).start()
    return closed


def _mark(closed: "asyncio.Future[None]") -> None:
    if not closed.done():
        closed.set_result(None)

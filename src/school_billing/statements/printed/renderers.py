"""The renderers of a printable statement: a page of HTML, and a PDF document."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Hashable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import structlog

from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.web.errors import ApiError, BadRequest
from school_billing.platform.web.requests import AnyRequest, while_connected
from school_billing.platform.web.responses import tag_of_content
from school_billing.statements.printed.printable import PrintableStatement

PDF_ROWS_MOST = 3_000
"""Sixty pages and more, printed in two seconds with half a gigabyte."""
HTML_ROWS_MOST = 10_000
PDF_BYTES_MOST = 2_000_000
"""The most text of a document. Three thousand rows of the longest texts with accents would need gigabytes."""
SECONDS_MOST = 30

_TEMPLATES = Path(__file__).parent / "templates"

# Otherwise each document takes all cores, and address space for each of them, and is hardly faster.
_ONE_CORE = {"RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
# The renderer finds Python and the fonts of the machine by these, and needs none of our secrets.
_INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "XDG_DATA_HOME")

Result = TypeVar("Result")

log = structlog.stdlib.get_logger(__name__)


class TooLongToPrint(BadRequest):
    """This statement has too many lines to print. Ask for a shorter period, or for the CSV."""

    code = "too_long_to_print"


class PrintingBusy(ApiError):
    """Too many statements are being printed at the moment. Try again in a moment."""

    status = 503
    code = "printing_busy"
    headers = {"Retry-After": "5"}


class RenderedDocument(msgspec.Struct, frozen=True):
    """A document, and how many different characters of its text no font of ours or of the machine has."""

    content: bytes
    unprintable: int


class PrintFailed(Exception):
    """The process of a PDF document ended without it."""


class _Template(Protocol):
    def render(self, *, printable: PrintableStatement) -> str: ...


def html_page(printable: PrintableStatement) -> bytes:
    """Write the statement as a page of its own: no script, and nothing to fetch."""
    return _html_template().render(printable=printable).encode()


@cache
def _html_template() -> _Template:
    # Importing it takes as long as a tenth of the whole service, which starts without it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("statement.html")


class Job(msgspec.Struct, frozen=True):
    """A printable statement, and the size of its paper."""

    paper: str
    printable: PrintableStatement

    @property
    def tag(self) -> str:
        """The entity tag of the document, known before it is rendered: it follows from the text and the template."""
        return tag_of_content(msgspec.json.encode(self), _edition())


@cache
def _edition() -> bytes:
    return (_TEMPLATES / "statement.typ").read_bytes() + version("typst").encode()


class PrintQueue:
    """Prints two statements at a time, in any form, and lets 32 wait; at most half of each for one caller.

    Reading a large statement, formatting it and rendering it takes seconds and much memory.
    """

    def __init__(self, at_once: int = 2, limit: int = 2 + 32) -> None:
        self._queue = BoundedQueue(
            at_once,
            PrintingBusy,
            limit=limit,
            share=max(1, limit // 2),
            share_at_once=max(1, at_once // 2),
            wait_seconds=SECONDS_MOST,
        )

    async def run(self, request: AnyRequest, caller: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of `work` when it is its turn. If the client leaves, its place is free at once.

        Raises:
            PrintingBusy: Too many statements wait, or this one waited too long.
        """

        async def in_turn() -> Result:
            async with self._queue.turn(caller):
                return await work()

        return await while_connected(request, in_turn())


async def pdf_document(job: Job) -> RenderedDocument:
    """Render a PDF document in a process of its own, with bounds for memory and time.

    anyio.to_process takes 2 ms instead of 49, but keeps two processes of 100 MB and passes our secrets on to them.

    Raises:
        TooLongToPrint: The statement has too much text.
        PrintingBusy: It took too long.
    """
    encoded = msgspec.json.encode(job)
    if len(encoded) > PDF_BYTES_MOST:
        raise TooLongToPrint
    return await _run(encoded)


async def _run(job: bytes) -> RenderedDocument:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "school_billing.statements.printed.typeset"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ} | _ONE_CORE,
    )
    try:
        async with asyncio.timeout(SECONDS_MOST):
            output, complaints = await process.communicate(job)
    except TimeoutError:
        log.warning("a document took too long to print", seconds=SECONDS_MOST, job_bytes=len(job))
        raise PrintingBusy from None
    finally:
        # A cancelled request, too, leaves no process behind.
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise PrintFailed(complaints.decode(errors="replace")[-2_000:])
    unprintable, _, content = output.partition(b"\n")
    document = RenderedDocument(content, int(unprintable))
    if document.unprintable:
        log.warning("a document has characters that no font has", characters=document.unprintable)
    return document

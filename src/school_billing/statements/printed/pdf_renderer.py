"""Sheets as PDF documents, each printed by a process of its own: never on the event loop, and bounded in every way."""

import asyncio
import os
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import msgspec
import structlog

from school_billing.platform.web.conditional import tag_of_content
from school_billing.platform.web.errors import ApiError, BadRequest
from school_billing.statements.printed.printable import PrintableStatement

ROWS_MOST = 3_000
"""Sixty pages and more, printed in two seconds with half a gigabyte."""
SECONDS_MOST = 30
AT_ONCE = 2
WAITING_MOST = 32

# Else each document takes all cores, and address space for each of them, to be hardly faster.
_ONE_CORE = {"RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

log = structlog.stdlib.get_logger(__name__)


class TooLongToPrint(BadRequest):
    """This statement has too many lines for a PDF document. Ask for a shorter period, or for the page."""

    code = "too_long_to_print"


class PdfRendererBusy(ApiError):
    """Too many documents are being printed at the moment. Please try again."""

    status = 503
    code = "printing_busy"
    headers = {"Retry-After": "5"}


class PrintFailed(Exception):
    """The PDF renderer ended without a document."""


class Job(msgspec.Struct, frozen=True):
    """A printable statement, and the paper that it is to be printed on."""

    paper: str
    printable: PrintableStatement

    @property
    def tag(self) -> str:
        """The entity tag of the document: what is printed, and with what, is known before it is printed."""
        return tag_of_content(msgspec.json.encode(self), _edition())


class PdfRenderer:
    """Prints a few sheets at once; the others wait, and no more of them than makes sense."""

    def __init__(self, at_once: int = AT_ONCE, waiting_most: int = WAITING_MOST) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._waiting_most = waiting_most

    async def print(self, job: Job) -> bytes:
        """Return the job's statement as a PDF document.

        Raises:
            TooLongToPrint: The statement has more rows than can be printed.
            PdfRendererBusy: Too many others wait already, or printing took too long.
        """
        if len(job.printable.table.rows) > ROWS_MOST:
            raise TooLongToPrint
        if self._free.locked() and self._waiting >= self._waiting_most:
            raise PdfRendererBusy
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            return await _run(msgspec.json.encode(job))
        finally:
            self._free.release()


async def _run(job: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "school_billing.statements.printed.typeset"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | _ONE_CORE,
    )
    try:
        async with asyncio.timeout(SECONDS_MOST):
            document, complaints = await process.communicate(job)
    except TimeoutError:
        log.warning("a document took too long to print", seconds=SECONDS_MOST, job_bytes=len(job))
        raise PdfRendererBusy from None
    finally:
        # Also when the request is cancelled: nobody waits for the document any more.
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise PrintFailed(complaints.decode(errors="replace")[-2_000:])
    return document


@cache
def _edition() -> bytes:
    template = Path(__file__).parent / "templates" / "statement.typ"
    return template.read_bytes() + version("typst").encode()

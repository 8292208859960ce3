"""The renderers of a printable statement: a page of HTML, and a PDF document."""

import asyncio
import os
import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from school_billing.platform.bounded_queue import BoundedQueue
from school_billing.platform.web.errors import ApiError, BadRequest
from school_billing.statements.printed.printable import PrintableStatement

ROWS_MOST = 3_000
"""Sixty pages and more, printed in two seconds with half a gigabyte."""
SECONDS_MOST = 30

_TEMPLATES = Path(__file__).parent / "templates"

# Otherwise each document takes all cores, and address space for each of them, and is hardly faster.
_ONE_CORE = {"RAYON_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
# The renderer finds Python and the fonts of the machine by these, and needs none of our secrets.
_INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "XDG_DATA_HOME")

log = structlog.stdlib.get_logger(__name__)


def tag_of_content(*parts: bytes) -> str:
    """Return the entity tag of content that has no version: the content's hash."""
    # Processors have instructions for SHA-256, so no other hash of hashlib is faster for a statement of two megabytes.
    return f'"{sha256(b"".join(parts)).hexdigest()[:32]}"'


class TooLongToPrint(BadRequest):
    """This statement has too many lines for a PDF document. Ask for a shorter period, or for the page."""

    code = "too_long_to_print"


class PdfRendererBusy(ApiError):
    """Too many documents are being printed at the moment. Please try again."""

    status = 503
    code = "printing_busy"
    headers = {"Retry-After": "5"}


class PdfDocument(msgspec.Struct, frozen=True):
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


class PdfRenderer:
    """Renders each PDF document in a process of its own, with bounds for memory and time. Two run, and 32 wait.

    anyio.to_process takes 2 ms instead of 49, but keeps two processes of 100 MB and passes our secrets on to them.
    """

    def __init__(self, at_once: int = 2, limit: int = 2 + 32) -> None:
        self._queue = BoundedQueue(at_once, PdfRendererBusy, limit=limit)

    async def render(self, job: Job) -> PdfDocument:
        """Return the job's statement as a PDF document.

        Raises:
            TooLongToPrint: The statement has more rows than can be printed.
            PdfRendererBusy: Too many documents are being rendered, or this one took too long.
        """
        if any(len(table.rows) > ROWS_MOST for table in (job.printable.table, job.printable.schedule) if table):
            raise TooLongToPrint
        async with self._queue.turn():
            return await _run(msgspec.json.encode(job))


async def _run(job: bytes) -> PdfDocument:
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
        raise PdfRendererBusy from None
    finally:
        # A cancelled request, too, leaves no process behind.
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise PrintFailed(complaints.decode(errors="replace")[-2_000:])
    unprintable, _, content = output.partition(b"\n")
    document = PdfDocument(content, int(unprintable))
    if document.unprintable:
        log.warning("a document has characters that no font has", characters=document.unprintable)
    return document

"""Sheets and rows as answers, each with its entity tag."""

import asyncio
from typing import Any

from litestar import Request

from school_billing.platform.web.conditional import has_current, tag_of_content
from school_billing.platform.web.responses import WithETag
from school_billing.platform.web.spreadsheets import CSV_MEDIA_TYPE, inline
from school_billing.statements.printed.pages import html_page
from school_billing.statements.printed.parameters import PaperSize
from school_billing.statements.printed.pdf_renderer import Job, PdfRenderer
from school_billing.statements.printed.printable import PrintableStatement

HTML_MEDIA_TYPE = "text/html"
PDF_MEDIA_TYPE = "application/pdf"


async def printed_page(printable: PrintableStatement) -> WithETag[bytes]:
    """Return the statement as a page."""
    content = await asyncio.to_thread(html_page, printable)
    return WithETag(content, tag_of_content(content), headers=_of_language(printable), media_type=HTML_MEDIA_TYPE)


async def printed_document(
    request: Request[Any, Any, Any], pdf_renderer: PdfRenderer, printable: PrintableStatement, paper: PaperSize
) -> WithETag[bytes]:
    """Return the statement as a PDF document, which is rendered only if the client lacks it.

    Raises:
        TooLongToPrint: The statement has more rows than can be printed.
        PdfRendererBusy: Too many others wait for theirs, or printing took too long.
        InvalidParameter: If-None-Match is malformed.
    """
    job = Job(paper.value, printable)
    etag = job.tag
    content = b"" if has_current(request, etag) else await pdf_renderer.print(job)
    headers = _of_language(printable) | inline("statement", printable.name, printable.day, extension="pdf")
    return WithETag(content, etag, headers=headers, media_type=PDF_MEDIA_TYPE)


def printed_rows(content: bytes, header: dict[str, str]) -> WithETag[bytes]:
    """Return rows as a file."""
    return WithETag(content, tag_of_content(content), headers=header, media_type=CSV_MEDIA_TYPE)


def _of_language(printable: PrintableStatement) -> dict[str, str]:
    return {"Content-Language": printable.language, "Vary": "Accept-Language"}

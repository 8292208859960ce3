"""Sheets and rows as answers, each with its entity tag."""

import asyncio
from typing import Any

from litestar import Request

from school_billing.platform.web.conditional import has_current, tag_of_content
from school_billing.platform.web.responses import Tagged
from school_billing.platform.web.spreadsheets import CSV_MEDIA_TYPE, inline
from school_billing.statements.printed.pages import html_page
from school_billing.statements.printed.parameters import PaperSize
from school_billing.statements.printed.presses import Job, Press
from school_billing.statements.printed.sheets import Sheet

HTML_MEDIA_TYPE = "text/html"
PDF_MEDIA_TYPE = "application/pdf"


async def printed_page(sheet: Sheet) -> Tagged[bytes]:
    """Return the sheet as a page."""
    content = await asyncio.to_thread(html_page, sheet)
    return Tagged(content, tag_of_content(content), headers=_of_language(sheet), media_type=HTML_MEDIA_TYPE)


async def printed_document(
    request: Request[Any, Any, Any], press: Press, sheet: Sheet, paper: PaperSize
) -> Tagged[bytes]:
    """Return the sheet as a PDF document, which is printed only for whom has it not already.

    Raises:
        TooLongToPrint: The sheet has more rows than can be printed.
        PressBusy: Too many others wait for theirs, or printing took too long.
        InvalidParameter: If-None-Match is malformed.
    """
    job = Job(paper.value, sheet)
    etag = job.tag
    content = b"" if has_current(request, etag) else await press.print(job)
    headers = _of_language(sheet) | inline("statement", sheet.name, sheet.day, extension="pdf")
    return Tagged(content, etag, headers=headers, media_type=PDF_MEDIA_TYPE)


def printed_rows(content: bytes, header: dict[str, str]) -> Tagged[bytes]:
    """Return rows as a file."""
    return Tagged(content, tag_of_content(content), headers=header, media_type=CSV_MEDIA_TYPE)


def _of_language(sheet: Sheet) -> dict[str, str]:
    return {"Content-Language": sheet.language, "Vary": "Accept-Language"}

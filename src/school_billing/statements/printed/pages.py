"""Sheets as pages of HTML, which a browser prints as well as it shows them."""

from functools import cache
from pathlib import Path
from typing import Protocol

from school_billing.statements.printed.printable import PrintableStatement

_TEMPLATES = Path(__file__).parent / "templates"


class _Template(Protocol):
    def render(self, *, printable: PrintableStatement) -> str: ...


def html_page(printable: PrintableStatement) -> bytes:
    """Write the statement as a page of its own: no script, and nothing to fetch."""
    return _template().render(printable=printable).encode()


@cache
def _template() -> _Template:
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

"""How a statement is to be printed: in which language, on which paper."""

from enum import Enum
from typing import Annotated

from litestar.params import HeaderParameter, QueryParameter

from school_billing.statements.printed.language import Language, accepted_language


class PaperSize(Enum):
    """The sizes of paper that schools have."""

    A4 = "a4"
    LETTER = "letter"


Lang = Annotated[
    Language | None,
    QueryParameter(
        description="The language of whoever will read it, where that is not the one who asks. Without it, "
        "Accept-Language decides, and else it is English.",
    ),
]
AcceptLanguage = Annotated[
    str | None,
    HeaderParameter(name="Accept-Language", description="Which languages the caller likes to read (RFC 9110)."),
]
Paper = Annotated[PaperSize, QueryParameter(description="The size of the paper.")]


async def provide_language(lang: Lang = None, accept_language: AcceptLanguage = None) -> Language:
    """Choose the language: a program that prints for a parent names it, a browser sends its owner's."""
    return lang or accepted_language(accept_language or "")

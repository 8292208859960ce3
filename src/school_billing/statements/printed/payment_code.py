"""The EPC QR code of a statement (EPC069-12, version 002), which a banking app reads as a transfer."""

from decimal import Decimal

from school_billing.payers.contracts import PaymentReference
from school_billing.schools.contracts import School

_UTF_8 = 1
_MOST = Decimal("999999999.99")
# In bytes. The standard counts characters, and bounds the whole code at 331 bytes.
_NAME_MOST = 70
_TEXT_MOST = 140


def payment_code(school: School, owed: Decimal, reference: PaymentReference | None, text: str) -> str | None:
    """Return the code as an SVG element: to pay what is owed, with the reference, or without one with the text.

    None if there can be no such code: it is for transfers in euros to an IBAN.
    """
    if school.iban is None or school.currency != "EUR" or not 0 < owed <= _MOST:
        return None
    # Importing it takes as long as a tenth of the whole service, which starts without it.
    from segno.helpers import make_epc_qr  # noqa: PLC0415

    code = make_epc_qr(
        name=_cut(school.name, _NAME_MOST),
        iban=school.iban,
        amount=owed,
        text=None if reference else _cut(text, _TEXT_MOST),
        reference=reference,
        encoding=_UTF_8,
    )
    return code.svg_inline(omitsize=True, svgclass=None, lineclass=None, light="white")


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")

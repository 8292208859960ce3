"""Statements for people to read: pages, PDF documents and rows for a spreadsheet."""

import asyncio
import csv
import io
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any, TypeAlias, cast

import asyncpg
import httpx
import msgspec
import pypdf
import pytest
import segno
from structlog.testing import capture_logs

from school_billing.auth.contracts import Role
from school_billing.platform.web.requests import ClientLeft
from school_billing.statements.printed.printable import Column, ColumnKind, Fact, PrintableStatement, Row, Table
from school_billing.statements.printed.renderers import (
    PDF_BYTES_MOST,
    PDF_ROWS_MOST,
    Job,
    PrintFailed,
    PrintingBusy,
    PrintQueue,
    RenderedDocument,
    TooLongToPrint,
    pdf_document,
)
from tests.api import NOBODY, Api, Json, problem

Psql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
MakeClient = Callable[..., httpx.AsyncClient]

KINDS = ["html", "pdf", "csv"]
PERIOD = "from=2026-01-01&to=2026-06-30"
LONGEST = "Wolfeschlegelsteinhausenbergerdorff" * 7 + "Hubert Bla"


class PageReader(HTMLParser):
    """What a page says: its elements, its texts, and its tables cell by cell."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.facts: dict[str, str] = {}
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._label = self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes.setdefault(tag, dict(attrs))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        if tag in {"dt", "dd", "td", "th", "h1"}:
            self._text = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self.tables[-1][-1].append(self._text)
        elif tag == "dt":
            self._label = self._text
        elif tag in {"dd", "h1"}:
            self.facts[self._label if tag == "dd" else tag] = self._text

    def handle_data(self, data: str) -> None:
        self._text += data
        self.text += data


def read(response: httpx.Response) -> PageReader:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    reader = PageReader()
    reader.feed(response.text)
    return reader


def text_of(response: httpx.Response) -> str:
    """Return all that a PDF document says, in one line."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/pdf"
    assert response.content.startswith(b"%PDF-")
    pages = pypdf.PdfReader(io.BytesIO(response.content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def rows_of(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))


def dollars(text: str) -> Decimal:
    """Read an amount as an American does."""
    return Decimal(0) if text == "\N{EN DASH}" else Decimal(re.sub(r"[$,]", "", text))


@pytest.fixture
async def student(api: Api) -> Json:
    """A student with an invoice of 1600.00, of which 250.00 is paid and 49.50 given back, and one that is void."""
    student = await api.student(await api.school(name="Springfield Elementary"), external_id="S-1024")
    tuition = await api.invoice(
        student, "1600.00", description="Tuition", issued_at="2026-01-05T13:00:00Z", due_date="2026-01-31"
    )
    await api.pay(tuition, "250.00", method="card", reference="C-1", paid_at="2026-02-01T09:00:00Z")
    await api.refund(tuition, "49.50", method="cash", paid_at="2026-02-10T10:00:00Z")
    mistake = await api.invoice(student, "70.00", description="Entered twice", issued_at="2026-03-01T13:00:00Z")
    await api.client.post(f"/invoices/{mistake['id']}/void", json={"reason": "Entered twice"})
    return student


async def raise_invoices(psql: Psql, student: Json, count: int) -> None:
    """Raise invoices of 1.01, 2.01, 3.01 and so on, four a day from 2024 on."""
    await psql.execute(
        """
        insert into invoices (school_id, student_id, total_amount, issued_at, due_date, description)
        select $1, $2, number + 0.01, timestamptz '2024-01-01 00:00Z' + number * interval '6 hours', '2026-02-28',
          'Day ' || number
        from generate_series(1, $3) as number
        """,
        student["school_id"],
        student["id"],
        count,
    )


async def test_a_page_tells_the_account_of_a_period_line_by_line(client: httpx.AsyncClient, student: Json) -> None:
    page = read(await client.get(f"/students/{student['id']}/statement.html?from=2026-02-01&to=2026-02-28"))
    assert page.facts == {
        "h1": "Statement of account Lisa Simpson",
        "Student number": "S-1024",
        "Period": "February 1, 2026 \N{EN DASH} February 28, 2026",
        "As of": "February 28, 2026",
        "Statement date": f"{datetime.now(UTC):%B} {datetime.now(UTC).day}, {datetime.now(UTC).year}",
        "Currency": "US Dollar (USD)",
        "Opening balance": "$1,600.00",
        "Invoiced": "$0.00",
        "Payments": "$250.00",
        "Refunds": "$49.50",
        "Voided": "$0.00",
        "Overdue": "$1,399.50",  # 1600.00 - 250.00 + 49.50
        "Please pay by": "January 31, 2026 (overdue)",
        "Closing balance": "$1,399.50",
    }
    schedule, ageing, entries = page.tables
    assert schedule[1:] == [["Jan 31, 2026", "Overdue", "1,399.50"], ["Total", "", "1,399.50"]]
    assert [(cells[0], cells[2]) for cells in ageing] == [
        ("Not due yet", "\N{EN DASH}"),
        ("1\N{EN DASH}30 days", "$1,399.50"),
        ("31\N{EN DASH}60 days", "\N{EN DASH}"),
        ("61\N{EN DASH}90 days", "\N{EN DASH}"),
        ("Over 90 days", "\N{EN DASH}"),
    ]
    assert [[cell.strip("\u2068\u2069") for cell in cells] for cells in entries] == [
        ["Date", "Entry", "Details", "Charged", "Credited", "Balance"],
        ["Feb 1, 2026", "Opening balance", "", "", "", "1,600.00"],
        ["Feb 1, 2026", "Payment", "Card\u2069 · \u2068C-1", "", "250.00", "1,350.00"],
        ["Feb 10, 2026", "Refund", "Cash", "49.50", "", "1,399.50"],
        ["Feb 28, 2026", "Closing balance", "", "", "", "1,399.50"],
    ]


@pytest.mark.parametrize(
    ("lang", "texts"),
    [
        ("en", ["Please pay by", "How to pay", "Payment reference", "December 31, 2998 (forecast)", "Due by then"]),
        ("de", ["Bitte zahlen bis", "So zahlen Sie", "Verwendungszweck", "31. Dezember 2998 (Vorschau)", "Bis dahin"]),
        ("es", ["Fecha límite de pago", "Cómo pagar", "Referencia del pago", "31 de diciembre de 2998 (previsión)"]),
        ("fr", ["À payer au plus tard le", "Comment payer", "Référence", "31 décembre 2998 (prévision)"]),
        ("ar", ["يرجى الدفع في موعد أقصاه", "طريقة الدفع", "مرجع الدفع", "2998 (توقّع)", "المستحق حتى ذلك التاريخ"]),
    ],
)
async def test_a_parent_reads_what_to_pay_until_when_and_how(api: Api, lang: str, texts: list[str]) -> None:
    school = await api.school(
        name="Springfield Elementary",
        address="19 Plympton Street\nSpringfield",
        payment_instructions="To account 000123456,\n<b>or</b> at the office.",
    )
    student = await api.student(school, external_id="SPR-7")
    issued = {"issued_at": "2998-09-01T12:00:00Z"}
    await api.invoice(student, "100.25", due_date="2999-03-31", **issued)
    await api.invoice(student, "30.00", due_date="2999-01-31", **issued)
    await api.invoice(student, "20.00", due_date="2999-01-31", **issued)
    for query in ("to=2998-12-31", "as_of=2998-12-31"):
        path = f"/students/{student['id']}/statement.%s?{query}&lang={lang}"
        page = read(await api.client.get(path % "html"))
        document = text_of(await api.client.get(path % "pdf"))
        for text in [*texts, "SPR-7", "19 Plympton Street\nSpringfield", "000123456,\n<b>or</b> at the office."]:
            assert text in page.text
            # In which order a reader of PDF gives Arabic letters back is its own affair.
            assert lang == "ar" or " ".join(text.split()) in document
        schedule = [[re.sub(r"[^\d.,]", "", row[-1]).replace(",", ".") for row in page.tables[0][1:]]]
        assert schedule == [["50.00", "100.25", "150.25"]]
        assert page.attributes["dl"]["class"] == "headline"  # at the top
        other = await api.student(school, full_name="Bart Simpson")  # who owes nothing
        owed = read(await api.client.get(f"/students/{other['id']}/statement.html?{query}&lang={lang}"))
        assert texts[0] not in owed.text
        assert "000123456" not in owed.text


@pytest.mark.parametrize(
    ("lang", "texts"),
    [
        ("en", ["Payment reference", "IBAN", "Scan this code with your banking app to pay."]),
        ("de", ["Verwendungszweck", "IBAN", "Zum Bezahlen mit der Banking-App scannen."]),
        ("es", ["Referencia del pago", "IBAN", "Escanee este código"]),
        ("fr", ["Référence", "IBAN", "Scannez ce code"]),
        ("ar", ["مرجع الدفع", "(IBAN)", "امسح هذا الرمز"]),
    ],
)
async def test_a_banking_app_reads_what_to_pay_and_to_whom(api: Api, lang: str, texts: list[str]) -> None:
    school = await api.school(name="École Molière", currency="EUR", iban="DE89 3704 0044 0532 0130 00")
    payer, student = await api.payer(school, external_id="P-1"), await api.student(school, external_id="S-1")
    await api.set_payers(student, {payer["id"]: "100"})
    await api.invoice(student, "1600.50")
    reference = payer["payment_reference"]
    said = ["BCD", "002", "1", "SCT", "", "École Molière", "DE89370400440532013000", "EUR1600.5", "", reference]
    grouped = " ".join(reference[start : start + 4] for start in range(0, 16, 4))
    for path in (f"/payers/{payer['id']}/statement", f"/students/{student['id']}/statement"):
        page = read(response := await api.client.get(f"{path}.html?lang={lang}"))
        assert code_of("\n".join(said)) in response.text
        assert grouped in page.facts.values()
        assert page.text.count("DE89 3704 0044 0532 0130 00") == 1
        document = text_of(await api.client.get(f"{path}.pdf?lang={lang}"))
        for text in [*texts, grouped]:
            assert text in page.text
            assert lang == "ar" or text in document


def code_of(text: str) -> str:
    """Return the QR code of a text as an element of a page."""
    code = segno.make_qr(text.encode(), error="m", boost_error=False)
    return code.svg_inline(omitsize=True, svgclass=None, lineclass=None, light="white")


async def test_without_euros_or_a_debt_there_is_no_code_and_without_one_payer_no_reference(api: Api) -> None:
    account = {"iban": "DE89370400440532013000", "payment_instructions": "By transfer."}
    euros, others = await api.school(name="é" * 100, currency="EUR", **account), await api.school(**account)
    payer, second = await api.payer(euros), await api.payer(euros)
    student = await api.student(euros, external_id="S-" + "9" * 200)
    path = f"/students/{student['id']}/statement.html"
    assert "DE89" not in (await api.client.get(path)).text  # Nothing is owed.
    invoice = await api.invoice(student, "10.00")
    page = read(response := await api.client.get(path))
    assert page.facts["Payment reference"] == student["external_id"]
    # The names of schools and students are longer than those of banks: 70 and 140 bytes in UTF-8.
    lines = ["BCD", "002", "1", "SCT", "", "é" * 35, account["iban"], "EUR10", "", "", "S-" + "9" * 138]
    assert code_of("\n".join(lines)) in response.text
    await api.set_payers(student, {payer["id"]: "50", second["id"]: "50"})
    assert read(await api.client.get(path)).facts["Payment reference"] == student["external_id"]
    assert (await api.client.get(path.replace("html", "pdf"))).status_code == 200
    await api.pay(invoice, "10.00")
    assert "DE89" not in (await api.client.get(path)).text

    american = await api.payer(others)
    await api.invoice(await api.student(others), "10.00", payer_id=american["id"])
    page = read(response := await api.client.get(f"/payers/{american['id']}/statement.html"))
    assert page.facts["IBAN"] == "DE89 3704 0044 0532 0130 00"
    assert page.facts["Payment reference"].replace(" ", "") == american["payment_reference"]
    assert "By transfer." in page.text
    assert 'class="code"' not in response.text


async def test_what_the_school_says_about_paying_changes_its_statements_at_once(api: Api, student: Json) -> None:
    for kind in ("html", "pdf"):
        path = f"/students/{student['id']}/statement.{kind}?{PERIOD}"
        tags = [(await api.client.get(path)).headers["etag"]]
        for change in ({"payment_instructions": "In cash."}, {"payment_instructions": None, "address": "Main Street"}):
            response = await api.client.patch(f"/schools/{student['school_id']}", json=change)
            assert response.status_code == 200
            changed = await api.client.get(path, headers={"If-None-Match": tags[-1]})
            assert changed.status_code == 200
            tags.append(changed.headers["etag"])
        assert len(set(tags)) == 3
        await api.client.patch(f"/schools/{student['school_id']}", json={"address": None})
        assert (await api.client.get(path)).headers["etag"] == tags[0]


async def test_without_a_period_a_page_lists_the_invoices(client: httpx.AsyncClient, student: Json) -> None:
    response = await client.get(f"/students/{student['id']}/statement.html?as_of=2999-12-31")
    page = read(response)
    assert "Period" not in page.facts
    assert page.tables[-1][1:] == [
        ["Jan 5, 2026", "Jan 31, 2026", "Tuition", "Paid in part", "1,600.00", "200.50", "1,399.50"],
        ["Mar 1, 2026", "Feb 28, 2026", "Entered twice", "Void", "70.00", "0.00", "0.00"],
        ["Total", "", "", "", "1,600.00", "200.50", "1,399.50"],  # the void one counts for nothing
    ]
    assert '<tr class="void">' in response.text


@pytest.mark.parametrize("query", ["", "?as_of=2026-02-05", f"?{PERIOD}", "?to=2026-02-05"])
async def test_the_sums_on_a_page_are_those_of_the_json(api: Api, student: Json, query: str) -> None:
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        json = await api.get(f"{path}/statement{query}")
        page = read(await api.client.get(f"{path}/statement.html{query}"))
        totals = json["totals"]
        expected = {"Overdue": totals["overdue_total"]}
        if "period" in json:
            expected |= {"Opening balance": json["opening_balance"], "Closing balance": json["closing_balance"]}
            expected |= {"Payments": json["period"]["paid"], "Refunds": json["period"]["refunded"]}
            expected |= {"Voided": json["period"]["voided"], "Invoiced": json["period"]["invoiced"]}
        else:
            expected |= {"Payments": totals["payments_total"], "Refunds": totals["refunds_total"]}
            expected |= {"Invoiced to date": totals["invoiced_total"], "Paid to date": totals["paid_total"]}
            expected |= {"Balance due": totals["balance_due_total"]}
        assert {name: dollars(page.facts[name]) for name in expected} == {
            name: Decimal(amount) for name, amount in expected.items()
        }
        assert [dollars(cells[2]) for cells in page.tables[-2]] == [Decimal(sum_) for sum_ in json["ageing"].values()]
        assert dollars(page.tables[-1][-1][-1 if path.startswith("/students") else 4]) == Decimal(
            totals["balance_due_total"]
        )


async def test_a_schools_page_has_what_each_student_owes(api: Api, student: Json) -> None:
    school = {"id": student["school_id"]}
    bart = await api.student(school, full_name="Bart Simpson", external_id="S-1025")
    await api.invoice(bart, "10.00", issued_at="2026-01-01T00:00:00Z")
    await api.student(school, full_name="Maggie Simpson")
    path = f"/schools/{school['id']}/statement"
    json = await api.get(f"{path}?as_of=2026-03-31")
    page = read(await api.client.get(f"{path}.html?as_of=2026-03-31"))
    assert page.facts["Students"] == "3"
    names, *lines = page.tables[-1]
    assert names[2] == "Invoiced to date"  # The sums above have what was invoiced in the period.
    assert [line[:2] for line in lines] == [
        ["Bart Simpson", "S-1025"], ["Lisa Simpson", "S-1024"], ["Maggie Simpson", ""], ["Total", ""]
    ]  # fmt: skip
    assert [told["external_id"] for told in json["students"]] == ["S-1025", "S-1024", None]
    amounts = ("invoiced_total", "paid_total", "balance_due_total", "overdue_total")
    for line, told in zip(lines, [*json["students"], {**json["totals"], "ageing": json["ageing"]}], strict=True):
        assert [dollars(cell) for cell in line[2:]] == [
            *(Decimal(told[name]) for name in amounts),
            *(Decimal(amount) for amount in told["ageing"].values()),
        ]
    document = text_of(await api.client.get(f"{path}.pdf?as_of=2026-03-31"))
    # 1600.00 - 250.00 + 49.50 + 70.00, which was not void yet, + 10.00
    for said in ("Springfield Elementary", "Bart Simpson", "S-1025", "Maggie Simpson", "1,479.50"):
        assert said in document


async def test_whatever_a_name_says_it_is_text(api: Api) -> None:
    name = "<script>alert(1)</script> & \"Bobby\" 'Tables' {{ 7 * 7 }} #strong[x]"
    student = await api.student(await api.school(name="</style><b>School</b>"), full_name=name, external_id="<i>1</i>")
    invoice = await api.invoice(student, description="<img src=x onerror=alert(1)>", issued_at="2026-01-05T00:00:00Z")
    await api.pay(invoice, "1.00", method="<u>", reference="</td><script>", paid_at="2026-01-06T00:00:00Z")
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        for query in ("", f"?{PERIOD}"):
            response = await api.client.get(f"{path}/statement.html{query}")
            page = read(response)
            assert not {"script", "img", "b", "i", "u", "a", "link"} & set(page.elements)
            assert page.elements.count("style") == 1
            assert name in (page.facts["h1"] + page.tables[-1][1][0])
    document = text_of(await api.client.get(f"/students/{student['id']}/statement.pdf?{PERIOD}"))
    for said in (name, "</style><b>School</b>", "<img src=x onerror=alert(1)>", "</td><script>"):
        assert re.sub(r"\s", "", said) in re.sub(r"[\s\u200b]", "", document)


async def test_a_page_fetches_nothing_and_runs_nothing(client: httpx.AsyncClient, student: Json) -> None:
    response = await client.get(f"/students/{student['id']}/statement.html")
    assert not re.search(r"<script|<link|<img|<iframe|\son[a-z]+=|https?://|url\(|@import", response.text)
    assert "script-src 'self'" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("currency", "lang", "closing"),
    [
        ("USD", "en", "$12,345.50"), ("USD", "es-MX", "USD 12,345.50"), ("EUR", "de", "12.345,50 €"),
        ("EUR", "es", "12.345,50 €"), ("CHF", "en", "CHF 12,345.50"), ("EGP", "ar", "12,345.50 ج.م."),
        ("JPY", "en", "¥12,345"), ("CLP", "es", "12.345 CLP"), ("EUR", "fr", "12 345,50 €"),
    ],
)  # fmt: skip
async def test_money_is_written_for_the_schools_currency_and_the_reader(
    api: Api, currency: str, lang: str, closing: str
) -> None:
    student = await api.student(await api.school(currency=currency))
    total = "12345" if currency in {"JPY", "CLP"} else "12345.50"
    await api.invoice(student, total, issued_at="2026-01-05T00:00:00Z")
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        page = read(await api.client.get(f"{path}/statement.html?{PERIOD}&lang={lang}"))
        last = list(page.facts.values())[1]
        assert re.sub(r"[\u200e\u200f]", "", re.sub(r"\s", " ", last)) == closing


async def test_a_statement_is_in_the_language_that_is_asked_for_and_else_in_the_browsers(
    client: httpx.AsyncClient, student: Json
) -> None:
    path = f"/students/{student['id']}/statement.html"
    for headers, query, lang, title in (
        ({}, "", "en", "Statement of account"),
        ({"Accept-Language": "es-MX,es;q=0.9,en;q=0.8"}, "", "es-MX", "Estado de cuenta"),
        ({"Accept-Language": "es-MX"}, "?lang=de", "de", "Kontoauszug"),
        ({"Accept-Language": "ja"}, "", "en", "Statement of account"),
    ):
        response = await client.get(f"{path}{query}", headers=headers)
        page = read(response)
        assert page.attributes["html"] == {"lang": lang, "dir": "ltr"}
        assert page.facts["h1"] == f"{title} Lisa Simpson"
        assert response.headers["content-language"] == lang
        assert response.headers["vary"] == "Accept-Language"
    spanish = await client.get(path.replace("html", "pdf"), headers={"Accept-Language": "es"})
    assert spanish.headers["vary"] == "Accept-Language"
    assert "Estado de cuenta" in text_of(spanish)


async def test_arabic_reads_from_right_to_left(api: Api) -> None:
    name = "محمد عبد الرحمن"
    student = await api.student(await api.school(currency="EGP", name="مدرسة القاهرة"), full_name=name)
    await api.invoice(student, "12.50", description="رسوم دراسية", issued_at="2026-01-05T00:00:00Z")
    page = read(await api.client.get(f"/students/{student['id']}/statement.html?lang=ar&{PERIOD}"))
    assert page.attributes["html"] == {"lang": "ar", "dir": "rtl"}
    assert page.facts["h1"].endswith(name)
    assert page.attributes["p"]["dir"] == "auto"  # the school's name, whatever the page's language
    for lang in ("ar", "en"):
        response = await api.client.get(f"/students/{student['id']}/statement.pdf?lang={lang}&{PERIOD}")
        document = unicodedata.normalize("NFKC", text_of(response))
        # In which order a reader of PDF gives the letters back is its own affair; they are all there.
        assert set(name) - {" "} <= set(document)
        assert "12.50" in document
        title = pypdf.PdfReader(io.BytesIO(response.content)).metadata
        assert title is not None
        assert name in str(title.title)


@pytest.mark.parametrize(
    "name",
    [
        LONGEST,
        "ع" * 255,
        "😀🎓👩\u200d👩\u200d👧" * 36,
        "山田 太郎",
        "e\u0301" * 127,
        "." * 255,
    ],
)
async def test_no_name_is_too_strange_to_print(api: Api, name: str) -> None:
    student = await api.student(full_name=name, external_id=name)
    await api.invoice(student, description=name * (500 // len(name)), issued_at="2026-01-05T00:00:00Z")
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        read(await api.client.get(f"{path}/statement.html?{PERIOD}"))
        assert "$100.00" in text_of(await api.client.get(f"{path}/statement.pdf?{PERIOD}"))


@pytest.mark.parametrize(
    ("name", "unprintable"),
    [
        ("山田 太郎 ヤマダ", None), ("王小明 張偉 ㄅ", None), ("김민수 뷁", None), ("😀 Ελένη Жанна é ע", None),
        ("\U00012000\U00012001 \U00012000", "2"),
    ],
)  # fmt: skip
async def test_what_no_font_has_is_counted_and_all_else_is_printed(
    api: Api, name: str, unprintable: str | None
) -> None:
    student = await api.student(full_name=name)
    with capture_logs() as logs:
        response = await api.client.get(f"/students/{student['id']}/statement.pdf")
    assert response.headers.get("x-unprintable") == unprintable
    # Cuneiform has no glyph, but the document says all the same what it would be.
    printed = text_of(response)
    assert unprintable or set(name) - {" "} <= set(unicodedata.normalize("NFC", printed))
    assert [line["characters"] for line in logs if "no font has" in line["event"]] == ([2] if unprintable else [])
    assert name not in str(logs)


async def test_a_long_word_stays_on_its_page(api: Api) -> None:
    student = await api.student(full_name=LONGEST)
    response = await api.client.get(f"/students/{student['id']}/statement.pdf")
    assert LONGEST.replace(" ", "") in re.sub(r"[\s\u200b]", "", text_of(response))
    layout = pypdf.PdfReader(io.BytesIO(response.content)).pages[0].extract_text(extraction_mode="layout")
    # The title is on several lines, because it does not fit on one; the foot, which is cut, has one.
    assert len([line for line in layout.splitlines() if "haus" in line.replace("\u200b", "")]) > 4


async def test_nothing_at_all_can_be_printed(api: Api) -> None:
    student = await api.student()
    for path, said in (
        (f"/students/{student['id']}/statement.%s", "There are no invoices."),
        (f"/students/{student['id']}/statement.%s?{PERIOD}", "Nothing happened in this period."),
        (f"/schools/{(await api.school())['id']}/statement.%s", "There are no students."),
    ):
        page = read(await api.client.get(path % "html"))
        assert [said] in page.tables[-1]
        assert list(page.facts.values())[1] == "$0.00"
        assert "Please pay by" not in page.facts
        assert 'width="0"' in (await api.client.get(path % "html")).text
        assert said in text_of(await api.client.get(path % "pdf"))
    (opening,) = rows_of(await api.client.get(f"/students/{student['id']}/statement.csv"))
    assert (opening["kind"], opening["amount"], opening["balance"]) == ("OPENING", "0.00", "0.00")


async def test_three_hundred_entries_are_all_there(api: Api, psql: Psql) -> None:
    student = await api.student()
    await raise_invoices(psql, student, 300)
    closing = "45,153.00"  # 1 + 2 + ... + 300 = 45150, and 300 times 0.01
    path = f"/students/{student['id']}/statement.%s?from=2024-01-01&to=2026-01-01"
    page = read(await api.client.get(path % "html"))
    assert len(page.tables[-1]) == 1 + 1 + 300 + 1  # names, opening, entries, closing
    assert page.tables[-1][-1][-1] == closing
    response = await api.client.get(path % "pdf")
    document = text_of(response)
    assert "Lisa Simpson" in document
    assert f"${closing}" in document
    assert all(f"Day {number} " in document for number in (1, 150, 300))
    pages = pypdf.PdfReader(io.BytesIO(response.content)).pages
    assert len(pages) > 5
    for number, printable in enumerate(pages, 1):
        assert f"Page {number} / {len(pages)}" in printable.extract_text()
        assert "Credited" in printable.extract_text()  # each page has the names of the columns
    rows = rows_of(await api.client.get(path % "csv"))
    assert (len(rows), rows[-1]["balance"]) == (1 + 300, "45153.00")  # opening, entries


async def test_paper_is_a4_or_letter(client: httpx.AsyncClient, student: Json) -> None:
    sizes = {}
    for query in ("", "?paper=a4", "?paper=letter"):
        for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
            response = await client.get(f"{path}/statement.pdf{query}")
            box = pypdf.PdfReader(io.BytesIO(response.content)).pages[0].mediabox
            sizes[query, path[:9]] = (round(box.width), round(box.height))
    # In points; the school's table is on the longer side.
    assert sizes == {
        ("", "/students"): (595, 842),
        ("", "/schools/"): (842, 595),
        ("?paper=a4", "/students"): (595, 842),
        ("?paper=a4", "/schools/"): (842, 595),
        ("?paper=letter", "/students"): (612, 792),
        ("?paper=letter", "/schools/"): (792, 612),
    }


async def test_a_moment_is_told_by_the_schools_clock(api: Api) -> None:
    student = await api.student(await api.school(time_zone="America/Chicago"))
    await api.invoice(student, issued_at="2026-03-01T05:30:00Z")
    path = f"/students/{student['id']}/statement.html"
    page = read(await api.client.get(f"{path}?as_of=2026-03-01T05:59:59Z"))
    assert re.sub(r"\s", " ", page.facts["As of"]) == "February 28, 2026, 11:59:59 PM (America/Chicago)"
    assert page.tables[-1][1][0] == "Feb 28, 2026"
    assert read(await api.client.get(f"{path}?as_of=2026-03-01")).facts["As of"] == "March 1, 2026"
    now = read(await api.client.get(path)).facts["As of"]
    assert re.fullmatch(r"[A-Z][a-z]+ \d+, \d{4}, \d+:\d\d\s[AP]M \(America/Chicago\)", now)


@pytest.mark.parametrize(
    ("query", "entries", "opening", "closing"),
    [
        ("", 5, "0.00", "1399.50"),  # 1600.00 - 250.00 + 49.50 + 70.00 - 70.00
        ("as_of=2026-02-05", 2, "0.00", "1350.00"),
        ("as_of=2026-02-10T09:59:59Z", 2, "0.00", "1350.00"),
        ("from=2026-02-01&to=2026-02-28", 2, "1600.00", "1399.50"),
        ("from=2026-02-05", 3, "1350.00", "1399.50"),
        ("to=2026-01-31", 1, "0.00", "1600.00"),
    ],
)
async def test_the_amounts_of_the_rows_add_up_to_the_closing_balance(
    api: Api, student: Json, query: str, entries: int, opening: str, closing: str
) -> None:
    path = f"/students/{student['id']}/statement"
    response = await api.client.get(f"{path}.csv?{query}")
    first, *rows = rows_of(response)
    assert list(first) == [
        "date", "happened_at", "kind", "invoice_id", "payment_id", "receipt_id", "adjustment_id", "description",
        "method", "reference", "amount", "balance", "currency",
    ]  # fmt: skip
    from_ = re.search(r"from=([\d-]+)", query)
    told = {"date": from_[1] if from_ else "", "kind": "OPENING", "amount": opening, "balance": opening}
    assert first == dict.fromkeys(first, "") | told | {"currency": "USD"}
    assert len(rows) == entries
    assert sum(Decimal(row["amount"]) for row in [first, *rows]) == Decimal(closing)
    assert [first, *rows][-1]["balance"] == closing
    signs = {"INVOICE": 1, "PAYMENT": -1, "REFUND": 1, "VOID": -1}
    if "from" in query or "to" in query:
        for row, line in zip(rows, (await api.get(f"{path}?{query}"))["entries"], strict=True):
            assert row == {name: "" if value is None else value for name, value in line.items()} | {
                "amount": str(signs[row["kind"]] * Decimal(line["amount"])), "currency": "USD",
            }  # fmt: skip


async def test_a_file_is_named_after_its_student_and_the_day(api: Api) -> None:
    school = await api.school(name="Springfield Elementary")
    names = set[str]()
    for external_id in ("S-1", "S-2", None, None, "学-1", "生-1"):
        student = await api.student(school, external_id=external_id)
        for kind in ("csv", "pdf"):
            disposition = (await api.client.get(f"/students/{student['id']}/statement.{kind}?to=2026-12-31")).headers
            names.add(disposition["content-disposition"].partition("filename=")[2])
    assert len(names) == 12
    assert {'"statement-lisa-simpson-s-1-2026-12-31.csv"', '"statement-lisa-simpson-s-2-2026-12-31.pdf"'} < names
    assert sum(bool(re.search(r"lisa-simpson-(1-)?[0-9a-f]{12}-2026-12-31", name)) for name in names) == 8


async def test_a_file_for_excel_begins_with_a_byte_order_mark_and_is_the_same_else(api: Api, student: Json) -> None:
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        plain, excel = [await api.client.get(f"{path}/statement.csv{query}") for query in ("", "?excel=true")]
        assert excel.content == b"\xef\xbb\xbf" + plain.content
        assert (await api.client.get(f"{path}/statement.csv?excel=false")).content == plain.content
        problem(await api.client.get(f"{path}/statement.csv?excel=perhaps"), 400, "invalid_parameter")


async def test_no_cell_is_a_formula(api: Api) -> None:
    student = await api.student()
    formula = '=HYPERLINK("http://evil.example","Pay here")'
    invoice = await api.invoice(student, "100.00", description=formula, issued_at="2026-01-01T00:00:00Z")
    await api.pay(invoice, "50.00", method="+1", reference="@SUM(A1)", paid_at="2026-03-01T00:00:00Z")
    await api.refund(invoice, "50.00", method="=1", reference="=x", paid_at="2026-03-02T00:00:00Z")
    path = f"/students/{student['id']}/statement.csv"
    rows = rows_of(await api.client.get(f"{path}?to=2026-12-31"))
    assert [(row["description"], row["method"], row["reference"]) for row in rows[1:]] == [
        (f"'{formula}", "", ""),
        ("", "'+1", "'@SUM(A1)"),
        ("", "'=1", "'=x"),
    ]
    # An amount stays a number, and be it below nothing.
    assert [row["amount"] for row in rows[1:]] == ["100.00", "-50.00", "50.00"]


@pytest.mark.parametrize("kind", KINDS)
async def test_who_has_a_statement_already_gets_it_once(client: httpx.AsyncClient, student: Json, kind: str) -> None:
    path = f"/students/{student['id']}/statement.{kind}?{PERIOD}"
    first = await client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = await client.get(path)
    assert (again.headers["etag"], again.content) == (first.headers["etag"], first.content)
    unchanged = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == first.headers["etag"]
    invoice = await client.post(
        "/invoices",
        json={
            "student_id": student["id"],
            "total_amount": "1.00",
            "due_date": "2026-06-01",
            "issued_at": "2026-06-01T00:00:00Z",
        },
    )
    assert invoice.status_code == 201
    changed = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_documents_in_two_languages_or_on_two_papers_are_two_documents(
    client: httpx.AsyncClient, student: Json
) -> None:
    path = f"/students/{student['id']}/statement.pdf?{PERIOD}"
    tags = {(await client.get(f"{path}{more}")).headers["etag"] for more in ("", "&lang=es", "&paper=letter")}
    assert len(tags) == 3


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=2026-02-01&to=2026-01-31", "from"), ("from=2999-01-01", "from"), ("to=yesterday", "to"),
        ("as_of=2026-01-01&to=2026-01-01", "as_of"), ("until=2026-01-01", "until"), ("limit=1", "limit"),
        ("lang=xx", "lang"), ("lang=", "lang"), ("lang=null", "lang"), ("lang=es&lang=en", "lang"),
        ("paper=a5", "paper"),
    ],
)  # fmt: skip
async def test_a_parameter_that_cannot_be_read_is_a_400_that_names_it(
    client: httpx.AsyncClient, student: Json, query: str, name: str
) -> None:
    for path in (f"/students/{student['id']}", f"/schools/{student['school_id']}"):
        for kind in ("html", "pdf"):
            refusal = problem(await client.get(f"{path}/statement.{kind}?{query}"), 400, "invalid_parameter")
            assert [error["field"] for error in refusal["errors"]] == [name]
    problem(await client.get(f"/students/{student['id']}/statement.csv?{query}"), 400, "invalid_parameter")


async def test_an_id_that_is_none_is_a_400(client: httpx.AsyncClient) -> None:
    for kind in KINDS:
        problem(await client.get(f"/students/1/statement.{kind}"), 400, "invalid_parameter")


@pytest.mark.parametrize("role", list(Role))
async def test_another_schools_statement_is_as_unknown_as_nobodys(
    make_client: MakeClient, api: Api, student: Json, role: Role
) -> None:
    async with make_client(role, (await api.school())["id"]) as theirs, make_client(role, student["school_id"]) as ours:
        for kind in KINDS:
            for identifier in (student["id"], NOBODY):
                problem(await theirs.get(f"/students/{identifier}/statement.{kind}"), 404, "student_not_found")
            assert (await ours.get(f"/students/{student['id']}/statement.{kind}")).status_code == 200
        for kind in ("html", "pdf"):
            for identifier in (student["school_id"], NOBODY):
                problem(await theirs.get(f"/schools/{identifier}/statement.{kind}"), 404, "school_not_found")
            assert (await ours.get(f"/schools/{student['school_id']}/statement.{kind}")).status_code == 200


async def test_others_are_answered_while_a_document_is_printed(api: Api, psql: Psql) -> None:
    student = await api.student()
    await raise_invoices(psql, student, PDF_ROWS_MOST)
    answered = 0
    printing = asyncio.create_task(api.client.get(f"/students/{student['id']}/statement.pdf"))
    while not printing.done():
        await asyncio.sleep(0.01)  # Else this would take from the printer half of the interpreter's time.
        assert (await api.client.get("/health")).status_code == 200
        answered += 1
    assert (await printing).status_code == 200
    # A quiet machine answers 150. A loop that waited for the document would answer a few while the rows are read.
    assert answered > 30


def job(rows: int = 1, **fields: Any) -> Job:
    table = Table(
        caption="Entries",
        columns=[Column("Date", ColumnKind.LABEL)],
        head=None,
        rows=[Row(["1"])] * rows,
        foot=Row(["1"]),
        empty="",
    )
    printable = PrintableStatement(
        language="en",
        direction="ltr",
        title="Statement",
        day=date(2026, 1, 1),
        name="Lisa",
        file_words=["Lisa"],
        school="School",
        address="",
        headline=[Fact("Sum", "1")],
        facts=[],
        how_to_pay=None,
        schedule=None,
        sums=[Fact("Sum", "1")],
        ageing_title="Ageing",
        ageing=[],
        table=table,
        page="Page",
        is_wide=False,
    )
    return Job("a4", msgspec.structs.replace(printable, **fields))


class Reader:
    """A client that waits for its answer until it leaves."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def printed(queue: PrintQueue, caller: str, reader: Reader | None = None, rows: int = 1) -> RenderedDocument:
    return await queue.run(cast("Any", reader or Reader()), caller, lambda: pdf_document(job(rows)))


async def test_a_few_print_at_once_a_few_wait_and_one_caller_takes_no_more_than_half() -> None:
    queue = PrintQueue(at_once=1, limit=4)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(
            *(printed(queue, caller) for caller in ("a", "a", "a", "b", "c", "d")), return_exceptions=True
        )
    assert [type(answer) for answer in answers] == [
        *(RenderedDocument, RenderedDocument, PrintingBusy),  # Half of four for a.
        *(RenderedDocument, RenderedDocument, PrintingBusy),  # And four for all.
    ]
    assert (await printed(queue, "a")).content.startswith(b"%PDF-")  # and is free again


async def test_the_queue_is_free_at_once_when_a_print_fails_or_its_reader_leaves() -> None:
    queue, nobody = PrintQueue(at_once=1, limit=4), cast("Any", Reader())
    with pytest.raises(PrintFailed, match="TypstError"):
        await queue.run(nobody, "a", lambda: pdf_document(job(language="not a language")))
    readers = [Reader(), Reader()]
    leaving = [asyncio.create_task(printed(queue, "a", reader, PDF_ROWS_MOST)) for reader in readers]
    await asyncio.sleep(0)
    for reader in readers:  # The first prints, and the second waits.
        reader.left.set()
    for task in leaving:
        with pytest.raises(ClientLeft):
            await task
    async with asyncio.timeout(10):
        assert (await printed(queue, "a")).content.startswith(b"%PDF-")


async def test_what_is_too_long_to_print_is_refused_before_it_is_tried(
    api: Api, psql: Psql, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TooLongToPrint):
        await pdf_document(job(address="x" * PDF_BYTES_MOST))
    student = await api.student()
    await raise_invoices(psql, student, PDF_ROWS_MOST + 1)
    path = f"/students/{student['id']}/statement"
    problem(await api.client.get(f"{path}.pdf"), 400, "too_long_to_print")
    assert len(read(await api.client.get(f"{path}.html")).tables[-1]) == PDF_ROWS_MOST + 3
    assert len(rows_of(await api.client.get(f"{path}.csv"))) == 1 + PDF_ROWS_MOST + 1  # opening, entries
    monkeypatch.setattr("school_billing.statements.controller.HTML_ROWS_MOST", PDF_ROWS_MOST)
    problem(await api.client.get(f"{path}.html"), 400, "too_long_to_print")

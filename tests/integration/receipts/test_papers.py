"""A receipt on a page and on paper."""

from tests.api import NOBODY, Api, problem


async def test_a_receipt_on_paper_has_every_child(api: Api) -> None:
    school = await api.school(
        name="Springfield Elementary", address="19 Plympton Street", payment_instructions="To account 000123456."
    )
    payer = await api.payer(school, name="Marge Simpson", language="es")
    children = [await api.student(school, full_name=f"{name} Simpson") for name in ("Bart", "Lisa", "Maggie")]
    for child in children:
        await api.invoice(child, "100.00", payer_id=payer["id"], description="Tuition")
    receipt = await api.receipt(payer, "350.00", method="cheque", reference="SIMPSON", received_at="2026-02-03")
    path = f"/receipts/{receipt['id']}"
    page = await api.client.get(f"{path}.html", params={"lang": "en"})
    for text in (
        "Receipt",
        "Marge Simpson",
        "Bart",
        "Lisa",
        "Maggie",
        "Tuition",
        "Cheque",
        "SIMPSON",
        "19 Plympton Street",
        "$350.00",
        "$300.00",
        "$50.00",
        "February 3, 2026",
        "To account 000123456.",
        " ".join(payer["payment_reference"][start : start + 4] for start in range(0, 16, 4)),
    ):
        assert text in page.text
    # A payer reads it in the payer's own language, whatever the clerk's browser says.
    spanish = await api.client.get(f"{path}.html", headers={"Accept-Language": "de"})
    assert "Recibo" in spanish.text
    assert spanish.headers["content-language"] == "es"
    document = await api.client.get(f"{path}.pdf", params={"paper": "letter", "lang": "en"})
    assert document.content.startswith(b"%PDF-")
    again = await api.client.get(
        f"{path}.pdf", params={"paper": "letter", "lang": "en"}, headers={"If-None-Match": document.headers["etag"]}
    )
    assert again.status_code == 304
    await api.client.post(f"{path}/reverse", json={"reason": "Bounced"})
    bounced = await api.client.get(f"{path}.html", params={"lang": "en"})
    assert "Reversed" in bounced.text
    assert bounced.text.count('class="void"') == 3
    problem(await api.client.get(f"/receipts/{NOBODY}.html"), 404, "receipt_not_found")


async def test_money_of_nobody_has_a_paper_too(api: Api) -> None:
    school = await api.school(payment_instructions="To account 000123456.")
    answer = await api.client.post("/receipts", json={"school_id": school["id"], "amount": "5.00"})
    page = await api.client.get(f"/receipts/{answer.json()['id']}.html")
    assert "Payer not known yet" in page.text
    assert "It pays no invoice yet." in page.text
    assert "To account 000123456." not in page.text  # Nobody has a reference to pay by.

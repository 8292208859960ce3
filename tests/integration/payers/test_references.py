"""Payment references: each payer has one, it finds the payer, and a mistyped one is said to be mistyped."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from school_billing.auth.contracts import Role
from school_billing.payers.contracts import PaymentReference
from tests.api import Api, problem, wrong_fields

IBAN = "DE89370400440532013000"


async def test_a_payer_is_found_by_the_reference_as_people_type_it(api: Api) -> None:
    school, other = await api.school(), await api.school()
    marge, homer, theirs = await api.payer(school), await api.payer(school), await api.payer(other)
    references = {payer["payment_reference"] for payer in (marge, homer, theirs)}
    assert len(references) == 3
    assert all(len(reference) == 16 and PaymentReference.parse(reference) == reference for reference in references)
    reference = marge["payment_reference"]
    assert await api.get(f"/payers/{marge['id']}") == marge
    typed = f" {reference[:4].lower()} {reference[4:9]}  {reference[9:]}"
    for path in ("/payers", f"/schools/{school['id']}/payers"):
        found = await api.client.get(path, params={"reference": typed})
        assert found.json() == [marge]
    assert await api.get(f"/schools/{other['id']}/payers?reference={reference}") == []
    assert await api.get("/payers?reference=RF18 5390 0754 7034") == []  # of nobody here
    renamed = await api.client.patch(f"/payers/{marge['id']}", json={"name": "Marge Bouvier"})
    assert renamed.json()["payment_reference"] == reference
    student = await api.student(school)
    (listed,) = await api.set_payers(student, {marge["id"]: "100"})
    assert listed["payment_reference"] == reference
    assert await api.get(f"/students/{student['id']}/payers") == [listed]


async def test_a_mistyped_reference_is_said_to_be_mistyped(api: Api) -> None:
    refused = await api.client.get("/payers?reference=RF18 5390 0754 7035")
    assert problem(refused, 400, "invalid_parameter")["errors"] == [
        {"field": "reference", "message": "has a wrong check digit; it was mistyped"}
    ]
    for wrong in ("", "5390 0754 7034", "RF18-5390", "RF18' or '1'='1"):
        refusal = problem(await api.client.get("/payers", params={"reference": wrong}), 400, "invalid_parameter")
        assert [error["field"] for error in refusal["errors"]] == ["reference"]


async def test_a_caller_of_one_school_finds_no_payer_of_another(
    api: Api, make_client: Callable[..., httpx.AsyncClient]
) -> None:
    mine, theirs = await api.school(), await api.school()
    own, payer = await api.payer(mine), await api.payer(theirs)
    bound = Api(make_client(Role.VIEWER, UUID(mine["id"])))
    assert await bound.get(f"/payers?reference={payer['payment_reference']}") == []
    assert await bound.get(f"/payers?reference={own['payment_reference']}") == [own]


async def test_two_payers_of_one_school_never_share_a_reference(api: Api, psql: Any) -> None:
    """The random end of their ids is the same, as once in a million million."""
    school, other = await api.school(), await api.school()
    insert = "insert into payers (id, school_id, name) values ($1, $2, 'Marge')"
    first, second = (UUID(f"0198000{place}-0000-7000-8000-0000deadbeef") for place in (1, 2))
    await psql.execute(insert, first, UUID(school["id"]))
    await psql.execute(insert, second, UUID(other["id"]))
    with pytest.raises(asyncpg.UniqueViolationError, match="payers_payment_reference_key"):
        await psql.execute(insert, second, UUID(school["id"]))


async def test_a_school_has_an_iban_without_blanks_and_the_database_checks_it_too(api: Api, psql: Any) -> None:
    school = await api.school(iban=" de89 3704 0044 0532 0130 00")
    assert school["iban"] == IBAN
    path = f"/schools/{school['id']}"
    assert (await api.client.patch(path, json={"name": "Shelbyville"})).json()["iban"] == IBAN
    assert (await api.client.patch(path, json={"iban": None})).json()["iban"] is None
    assert (await api.client.patch(path, json={"iban": "GB29 NWBK 6016 1331 9268 19"})).json() == await api.get(path)
    for wrong in ("DE89370400440532013001", "DE8", "", 5):
        assert wrong_fields(await api.client.patch(path, json={"iban": wrong})) == ["iban"]
    assert wrong_fields(await api.client.post("/schools", json={"name": "Other", "iban": "x"})) == ["iban"]
    for wrong in ("DE89370400440532013001", "de89370400440532013000", "DE89 3704 0044 0532 0130 00", "",
                  "DE00370400440532013050"):  # fmt: skip
        with pytest.raises(asyncpg.CheckViolationError, match="schools_iban_is_valid"):
            await psql.execute("update schools set iban = $1 where id = $2", wrong, UUID(school["id"]))

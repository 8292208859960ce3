"""Every SQL file, prepared against the migrated database and compared with what the code says of it."""

import importlib
import types
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import asyncpg
import msgspec
import pytest

from school_billing.platform.database.sql import Query
from school_billing.platform.web.pages import LAST, as_json

for module in ("school_billing.app", "school_billing.seed"):
    importlib.import_module(module)  # Registers every query there is.

SQL_TYPES = {
    "uuid": UUID,
    "text": str,
    "varchar": str,
    "int4": int,
    "int8": int,
    "bool": bool,
    "bytea": bytes,
    "jsonb": dict,
    "numeric": Decimal,
    "timestamptz": datetime,
    "timestamptz[]": list[datetime],
    "date": date,
    "date[]": list[date],
    "text[]": list[str],
    "uuid[]": list[UUID],
    "bytea[]": list[bytes],
}


@pytest.fixture(scope="module")
async def connection(new_database: Callable[[], str]) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to a database of its own: where a vacuum found a table empty, every plan for it costs nothing."""
    connection = await asyncpg.connect(new_database())
    yield connection
    await connection.close()


def plain(declared: Any) -> Any:
    """Strip a type of what PostgreSQL does not know: annotations, None, enums, kinds of text and of decimals."""
    if get_origin(declared) is Annotated:
        return plain(get_args(declared)[0])
    if get_origin(declared) in (Union, types.UnionType):
        (kind,) = {plain(part) for part in get_args(declared) if part is not types.NoneType}
        return kind
    is_struct = isinstance(declared, type) and issubclass(declared, msgspec.Struct)
    if is_struct or declared is msgspec.Raw or get_origin(declared) is dict:
        return dict
    if get_origin(declared) is Literal:
        declared = type(get_args(declared)[0])
    if get_origin(declared) is list:
        inner = plain(get_args(declared)[0])
        return dict if inner is dict else list.__class_getitem__(inner)
    if issubclass(declared, msgspec.Struct):
        return dict
    kinds = {Enum: str, str: str, Decimal: Decimal}
    return next((kinds[kind] for kind in kinds if issubclass(declared, kind)), declared)


LISTS = sorted(name for name, query in Query.registered.items() if "newest_first" in query.parameters)


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_planned_for_the_values_of_each_request(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    """A plan for all values could use no index for a filter, and would sort all rows for one order or the other."""
    query = as_json(Query.registered[name])
    page = {"newest_first": True, "after": LAST, "limit": 1, "offset": 0}
    statement = await connection.prepare(query.text)
    for _ in range(10):
        await statement.fetch(*[page.get(parameter) for parameter in query.parameters])
    plans = "select custom_plans from pg_prepared_statements where name = $1"
    assert await connection.fetchval(plans, statement.get_name()) == 10
    literals = {
        "newest_first": "true",
        "after": f"'{LAST}'::uuid",
        "limit": "2",
        "offset": "0",
        "school_id": f"'{LAST}'::uuid",
        "billing_run_id": f"'{LAST}'::uuid",
    }
    values = ", ".join(literals.get(parameter, "null") for parameter in query.parameters)
    await connection.execute(f"prepare listed as {query.text}")
    await connection.execute("set enable_seqscan = off; set enable_sort = off")
    plan = "\n".join(row[0] for row in await connection.fetch(f"explain execute listed ({values})"))
    await connection.execute("deallocate listed; reset enable_seqscan; reset enable_sort")
    assert "Index" in plan, plan
    assert "Sort" not in plan, plan


@pytest.mark.parametrize("name", sorted(Query.registered))
async def test_the_columns_are_what_the_code_says(connection: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
    query = Query.registered[name]
    statement = await connection.prepare(query.text)
    columns = [(column.name, SQL_TYPES[column.type.name]) for column in statement.get_attributes()]
    if issubclass(query.returns, msgspec.Struct):
        assert columns == [(field.name, plain(field.type)) for field in msgspec.structs.fields(query.returns)]
    else:
        assert [kind for _, kind in columns] == [query.returns]

"""Every SQL file, prepared against the migrated database and compared with what the code says of it."""

import importlib
import types
from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

import asyncpg
import msgspec
import pytest

from school_billing.platform.database.sql import Query

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
    "uuid[]": list[UUID],
    "bytea[]": list[bytes],
}


@pytest.fixture(scope="module")
async def connection(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def plain(declared: Any) -> Any:
    """Strip a type of what PostgreSQL does not know: annotations, None, enums, kinds of text and of decimals."""
    if get_origin(declared) is Annotated:
        return plain(get_args(declared)[0])
    if get_origin(declared) in (Union, types.UnionType):
        (kind,) = {plain(part) for part in get_args(declared) if part is not types.NoneType}
        return kind
    if declared is msgspec.Raw or get_origin(declared) is dict:
        return dict
    if get_origin(declared) is Literal:
        declared = type(get_args(declared)[0])
    if get_origin(declared) is list:
        return declared
    if issubclass(declared, Enum):
        return str
    return next((kind for kind in (str, Decimal) if issubclass(declared, kind)), declared)


@pytest.mark.parametrize("name", sorted(Query.registered))
async def test_parameters_and_columns_are_what_the_code_says(
    connection: "asyncpg.Connection[asyncpg.Record]", name: str
) -> None:
    query = Query.registered[name]
    statement = await connection.prepare(query.text)
    parameters = [SQL_TYPES[kind.name] for kind in statement.get_parameters()]
    assert dict(zip(query.parameters, parameters, strict=True)) == {
        parameter: plain(query.takes[parameter]) for parameter in query.parameters
    }
    columns = [(column.name, SQL_TYPES[column.type.name]) for column in statement.get_attributes()]
    assert columns == [(field.name, plain(field.type)) for field in msgspec.structs.fields(query.returns)]

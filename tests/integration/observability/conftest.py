from collections.abc import Callable

import psycopg
import pytest

from tests.api import Json


@pytest.fixture
def surprised() -> Callable[[str], Json]:
    """Gives a database a constraint that the code does not know, and returns the student that breaks it: a real bug."""

    def surprise(database_url: str) -> Json:
        with psycopg.connect(database_url) as psql:
            psql.execute("insert into schools (name) values ('Surprise')")
            row = psql.execute("select id from schools where name = 'Surprise'").fetchone()
            psql.execute("alter table students add constraint surprise check (full_name <> 'Maggie Simpson')")
        assert row is not None
        return {"school_id": str(row[0]), "full_name": "Maggie Simpson"}

    return surprise

"""Rules that the schema keeps, read from the catalog."""

import hashlib
from pathlib import Path

import psycopg
import pytest

from school_billing.constraints import CONSTRAINTS

MIGRATIONS = Path(__file__).parents[3] / "migrations"


@pytest.fixture
def catalog(database_url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(database_url, autocommit=True)


def names(catalog: "psycopg.Connection[tuple[object, ...]]", query: str) -> set[str]:
    with catalog:
        return {str(row[0]) for row in catalog.execute(query)}


def test_every_constraint_has_its_meaning_and_every_meaning_its_constraint(
    catalog: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    # Not-null constraints (n) cannot be broken by a caller: the contracts have no null where a column has none.
    found = names(
        catalog,
        r"""
        select conname from pg_constraint
        where connamespace = 'public'::regnamespace and contype <> 'n' and conrelid::regclass::text !~ 'yoyo'
        union
        select indexrelid::regclass::text from pg_index
        where indisunique and indrelid::regclass::text !~ '(yoyo|pg_toast|^pg_)'
        union
        select named[1] from pg_proc, regexp_matches(prosrc, 'constraint = ''(\w+)', 'g') as named
        where pronamespace = 'public'::regnamespace
        """,
    )
    # A trigger's own name is never what its function reports.
    assert found - {"payments_match_invoice_totals", "invoices_start_without_movements"} == set(CONSTRAINTS)


def test_every_foreign_key_has_an_index_and_says_what_a_delete_does(
    catalog: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    bare = names(
        catalog,
        """
        select conname from pg_constraint
        where contype = 'f' and (
          confdeltype <> 'r'
          or not exists (
            select from pg_index
            where indrelid = conrelid
              and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
          )
        )
        """,
    )
    assert bare == set()


def test_every_table_knows_when_its_rows_were_written(catalog: "psycopg.Connection[tuple[object, ...]]") -> None:
    lacking = names(
        catalog,
        """
        select tables.table_name from information_schema.tables
        where table_schema = 'public' and table_name !~ 'yoyo'
          and (
            select count(*) from information_schema.columns
            where columns.table_name = tables.table_name and column_name in ('created_at', 'updated_at')
              and data_type = 'timestamp with time zone' and is_nullable = 'NO'
          ) <> 2
        """,
    )
    assert lacking == set()


def test_money_is_numeric_and_nothing_is_a_float(catalog: "psycopg.Connection[tuple[object, ...]]") -> None:
    floats = names(
        catalog,
        """
        select table_name || '.' || column_name from information_schema.columns
        where table_schema = 'public' and data_type in ('real', 'double precision', 'money')
        """,
    )
    assert floats == set()


def test_a_migration_that_was_released_does_not_change() -> None:
    """yoyo knows a migration by its name alone: an edit would reach new databases and no other."""
    lines = [line.split("  ") for line in (MIGRATIONS / "SHA256SUMS").read_text().splitlines()]
    recorded = {name: digest for digest, name in lines}
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in MIGRATIONS.glob("*.sql")}
    assert files == recorded

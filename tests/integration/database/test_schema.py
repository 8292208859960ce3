"""Rules that the schema keeps, read from the catalog."""

import hashlib
from pathlib import Path

import psycopg
import pytest

from school_billing.app import create_app
from school_billing.audit.contracts import AuditedEntity
from school_billing.platform.settings import Settings
from tests.schema import FILE, schema

CONSTRAINT_ERRORS = create_app(Settings(database_url="postgresql://nowhere")).litestar.state.constraint_errors

MIGRATIONS = Path(__file__).parents[3] / "migrations"


@pytest.fixture
def catalog(database_url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(database_url, autocommit=True)


def names(catalog: "psycopg.Connection[tuple[object, ...]]", query: str) -> set[str]:
    with catalog:
        return {str(row[0]) for row in catalog.execute(query)}


def test_the_error_of_a_trigger_has_the_name_of_its_constraint_in_the_hint_too(
    catalog: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    """Citus passes on the hint of an error, but not the name of its constraint."""
    without = names(
        catalog,
        r"""
        select proname
        from pg_proc
        where pronamespace = 'public'::regnamespace
          and regexp_count(prosrc, 'constraint = ') <> regexp_count(prosrc, 'constraint = [^\n]+, hint = ')
        """,
    )
    assert without == set()


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
        select named[1]
        from pg_proc, regexp_matches(prosrc, 'constraint = (?:coalesce\(tg_argv\[0\], )?''(\w+)', 'g') as named
        where pronamespace = 'public'::regnamespace
        union
        -- Some functions get the name from their trigger, and one the name of a column.
        select named[1] from pg_trigger, regexp_matches(pg_get_triggerdef(oid), '\(''([a-z]\w+)''[^)]*\)$') as named
        where not tgisinternal and tgfoid::regproc::text <> 'refuse_closed_period'
        """,
    )
    assert found == {name for name in CONSTRAINT_ERRORS if isinstance(name, str)}


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
        where table_schema = 'public' and table_type = 'BASE TABLE' and table_name !~ 'yoyo'
          and ((
            select count(*) from information_schema.columns
            where columns.table_name = tables.table_name and column_name in ('created_at', 'updated_at')
              and data_type = 'timestamp with time zone' and is_nullable = 'NO'
          ) <> 2
          or not exists (
            select from pg_trigger
            where tgrelid = to_regclass(tables.table_name) and tgname = table_name || '_set_updated_at'
              and tgfoid = 'set_updated_at'::regproc and tgenabled = 'O'
          ))
        """,
    )
    assert lacking == set()


def test_every_audited_table_is_an_entity_of_the_audit_trail(catalog: "psycopg.Connection[tuple[object, ...]]") -> None:
    audited = names(
        catalog, "select distinct tgrelid::regclass from pg_trigger where tgfoid = 'append_to_audit_log'::regproc"
    )
    assert audited == set(AuditedEntity)


def test_money_is_numeric_and_nothing_is_a_float(catalog: "psycopg.Connection[tuple[object, ...]]") -> None:
    floats = names(
        catalog,
        """
        select table_name || '.' || column_name from information_schema.columns
        where table_schema = 'public' and data_type in ('real', 'double precision', 'money')
        """,
    )
    assert floats == set()


def test_a_function_sets_its_search_path_or_is_part_of_the_query(
    catalog: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    """A temporary table of the same name could else take a table's place."""
    lacking = names(
        catalog,
        """
        select proname from pg_proc
        where pronamespace = 'public'::regnamespace and prokind = 'f' and prosqlbody is null
          and not coalesce(proconfig::text ~ 'search_path=(public|pg_catalog), pg_temp', false)
        """,
    )
    # They name no table, or the schema of what they name; the migrations say what a search_path would cost.
    assert lacking == {"set_updated_at", "is_plain_text", "is_plain_line", "is_method", "is_audited_action"} | {
        "refuse_closed_period"
    }


@pytest.mark.parametrize(
    "call",
    [
        "amount_text(balance_due)",
        "instant_text(issued_at)",
        "start_of_day(due_date, 'UTC')",
        "end_of_day(due_date, 'UTC')",
        "currency_decimals(description)",
        "invoice_status(voided_at is not null, paid_total, total_amount)",
        "ageing_bucket(due_date - current_date)",
        "ageing_of(balance_due, balance_due, balance_due, balance_due, balance_due)",
        "statement_totals_of(total_amount, payments_total, refunds_total, balance_due, balance_due)",
        "statement_line_of(id, student_id, total_amount, issued_at, due_date, description, payments_total, "
        "refunds_total, balance_due, status)",
        "counts_from(now(), issued_at, voided_at)",
    ],
)
def test_a_rule_costs_no_call_of_a_function(catalog: "psycopg.Connection[tuple[object, ...]]", call: str) -> None:
    with catalog:
        plan = catalog.execute(f"explain (verbose, costs off) select {call} from invoices").fetchall()
    assert f"{call.partition('(')[0]}(" not in str(plan)


def test_the_schema_of_today_is_that_of_the_file(database_url: str) -> None:
    assert schema(database_url) == FILE.read_text(), "run `make schema`"


def test_a_migration_that_was_released_does_not_change() -> None:
    """yoyo knows a migration by its name alone: an edit would reach new databases and no other."""
    lines = [line.split("  ") for line in (MIGRATIONS / "SHA256SUMS").read_text().splitlines()]
    recorded = {name: digest for digest, name in lines}
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in MIGRATIONS.glob("[0-9]*.sql")}
    assert files == recorded


def test_every_change_of_an_invoice_is_audited_but_of_its_totals(
    catalog: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    """The movement that changes a total has an entry of its own."""
    unaudited = names(
        catalog,
        """
        select attname
        from pg_attribute
        join pg_trigger on tgrelid = attrelid and tgname = 'invoices_changes_are_audited'
        where attrelid = 'invoices'::regclass and attnum > 0 and attgenerated = '' and not attisdropped
          and attnum <> all(tgattr::int2[])
        """,
    )
    totals = {"payments_total", "refunds_total", "credited_total", "discounted_total", "written_off_total"}
    assert unaudited == totals | {"reversals_total", "early_adjustment_id"}

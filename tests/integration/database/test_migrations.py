from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from school_billing.platform.database.migrations import migrate, rollback

MIGRATIONS = Path(__file__).parents[3] / "migrations"

# Everything that a migration can leave behind, one line each.
SCHEMA = """
select format(
  'column %s.%s %s %s %s %s',
  table_name, column_name, data_type, is_nullable, column_default, generation_expression
)
from information_schema.columns where table_schema = 'public'
union all
select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
from pg_constraint where connamespace = 'public'::regnamespace
union all
select format('index %s', indexdef) from pg_indexes where schemaname = 'public'
union all
select format('function %s', pg_get_functiondef(oid)) from pg_proc
where pronamespace = 'public'::regnamespace and prokind = 'f'
union all
select format('aggregate %s', oid::regprocedure) from pg_proc
where pronamespace = 'public'::regnamespace and prokind = 'a'
union all
select format('trigger %s', pg_get_triggerdef(oid)) from pg_trigger where not tgisinternal
union all
select format('relation %s %s %s', relname, relkind, reloptions) from pg_class
where relnamespace = 'public'::regnamespace
"""


def schema(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        lines = [str(row[0]) for row in connection.execute(SCHEMA)]
    return sorted(line for line in lines if "yoyo" not in line)


def valid(lines: list[str]) -> list[str]:
    return [line.removesuffix(" NOT VALID") for line in lines]


def test_each_migration_undoes_what_it_did(
    new_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up and down one by one, with the same schema on each step, and up again at once."""
    url = new_database(empty=True)
    ids = [path.stem for path in sorted(MIGRATIONS.glob("[0-9]*.sql")) if not path.stem.endswith(".rollback")]
    steps = [schema(url)]
    with monkeypatch.context() as known:

        def know_only(name: str) -> None:
            """Reading all migrations at each step would take a minute."""
            known.setattr("school_billing.platform.database.migrations.resource_folder", lambda _: tmp_path / name)

        for name in ids:
            know_only(name)
            (tmp_path / name).mkdir()
            for path in (MIGRATIONS / f"{name}.sql", MIGRATIONS / f"{name}.rollback.sql"):
                (tmp_path / name / path.name).symlink_to(path)
            assert migrate(url) == [name]
            steps.append(schema(url))
        assert any("invoices_paid_at_most_total" in line for line in steps[-1])
        for name, before in zip(ids[::-1], steps[-2::-1], strict=True):
            know_only(name)
            assert rollback(url, 1) == [name]
            # What was found to be valid stays so.
            assert valid(schema(url)) == valid(before), name
    assert migrate(url) == ids
    assert schema(url) == steps[-1]


def test_migrations_can_run_again_over_a_crash_before_they_were_marked(new_database: Callable[..., str]) -> None:
    url = new_database()
    before = schema(url)
    assert migrate(url) == []
    with psycopg.connect(url) as connection:
        marked = connection.execute("delete from _yoyo_migration returning migration_id").fetchall()
    applied = migrate(url)
    assert sorted(applied) == sorted(name for (name,) in marked)
    assert schema(url) == before
    assert rollback(url) == applied[::-1]
    assert schema(url) == []


def test_migrators_at_the_same_time_wait_for_each_other(new_database: Callable[..., str]) -> None:
    url = new_database(empty=True)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(migrate, [url] * 4))
    assert sorted(bool(applied) for applied in results) == [False, False, False, True]


OLD = """
insert into schools (id, name) values ({school}, E' Springfield\\u200b'), ({other}, E'\\u200b');
insert into students (id, school_id, full_name, external_id) values
  ({student}, {school}, E'Sea\\u0301n  O\\u202eBrien', 'e1 '), (uuidv7(), {school}, 'Bart', E'\\u200b'),
  (uuidv7(), {school}, 'Lisa', 'e2'), (uuidv7(), {other}, 'Other', 'E1');
insert into invoices (id, school_id, student_id, total_amount, due_date, description)
values ({invoice}, {school}, {student}, 9, '2026-01-01', E' two\\r\\nlines\\u0007 ');
insert into payments (school_id, invoice_id, amount, method, reference) values
  ({school}, {invoice}, 1, 'Bank Transfer', E'A\\n1'), ({school}, {invoice}, 2, 'bank-transfer', 'A1'),
  ({school}, {invoice}, 3, 'BANK_TRANSFER ', null), ({school}, {invoice}, 1, '-', null);
"""
IDS = {
    name: f"'01980000-0000-7000-8000-00000000000{number}'"
    for number, name in enumerate(("school", "other", "student", "invoice"))
}


def test_the_text_of_old_rows_becomes_tidy(new_database: Callable[..., str]) -> None:
    url = new_database()
    rollback(url, len([path for path in MIGRATIONS.glob("[0-9]*.sql") if path.name >= "0015"]) // 2)
    with psycopg.connect(url) as connection:
        connection.execute(OLD.format(**IDS))
        connection.execute("update students set external_id = 'E1' where full_name = 'Lisa'")
    with pytest.raises(psycopg.errors.UniqueViolation, match=r"same external id.*Change one of each, and migrate"):
        migrate(url)
    with psycopg.connect(url) as connection:
        connection.execute("update students set external_id = 'e2' where full_name = 'Lisa'")
    migrate(url)
    with psycopg.connect(url) as connection:

        def rows(query: str) -> list[object]:
            return [row[0] if len(row) == 1 else row for row in connection.execute(query)]

        assert rows("select name from schools order by id") == ["Springfield", "?"]
        assert rows("select full_name, external_id from students order by full_name") == [
            ("Bart", None), ("Lisa", "e2"), ("Other", "E1"), ("Seán OBrien", "e1"),
        ]  # fmt: skip
        assert rows("select description from invoices") == ["two\nlines"]
        assert rows("select method, reference from payments order by amount, id") == [
            ("bank_transfer", "A 1"), (None, None), ("bank_transfer", "A1"), ("bank_transfer", None),
        ]  # fmt: skip
        assert rows("select payments_total from invoices") == [7]


def test_a_lock_that_a_killed_migrator_left_is_broken(new_database: Callable[..., str]) -> None:
    url = new_database()
    rollback(url, 1)
    with psycopg.connect(url) as connection:
        connection.execute("insert into yoyo_lock (locked, ctime, pid) values (1, now(), 999999)")
    assert len(migrate(url)) == 1


def test_an_index_is_built_concurrently_under_the_lock_of_migrators(
    new_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build waits for all who have a snapshot: neither who holds the lock may have one, nor who waits for it."""
    (tmp_path / "0001.index.sql").write_text(
        "-- transactional: false\n"
        "drop index concurrently if exists payments_method_idx;\n"
        "create index concurrently payments_method_idx on payments (method);\n"
    )
    monkeypatch.setattr("school_billing.platform.database.migrations.resource_folder", lambda _: tmp_path)
    url = new_database()
    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(migrate, [url] * 3)) == [[], [], ["0001.index"]]
    with psycopg.connect(url) as connection:
        row = connection.execute("select indisvalid from pg_index where indexrelid = 'payments_method_idx'::regclass")
        assert row.fetchone() == (True,)

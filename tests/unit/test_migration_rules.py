"""New migrations can run while the service does."""

from pathlib import Path

import pytest

from tests.migration_rules import faults

MIGRATIONS = sorted(
    path
    for path in (Path(__file__).parents[2] / "migrations").glob("[0-9]*.sql")
    if not path.stem.endswith(".rollback")
)


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_can_run_beside_the_service(path: Path) -> None:
    assert faults(path.read_text()) == []


APART = "-- transactional: false\n"
LIMIT = "set local lock_timeout = '2s';\n"


@pytest.mark.parametrize(
    "text",
    [
        LIMIT + "create table if not exists receipts (id uuid not null);\ncreate index r_id_idx on receipts (id);",
        LIMIT + "alter table invoices add column if not exists note text;",
        LIMIT + "alter table invoices add column seen_at timestamptz not null default now();",
        LIMIT + "alter table invoices add column is_late boolean not null default false;",
        LIMIT + "alter table invoices add constraint invoices_note_length check (char_length(note) < 9) not valid;",
        LIMIT + "alter table invoices validate constraint invoices_note_length;",
        LIMIT + "alter table invoices add constraint invoices_number_key unique using index invoices_number_key;",
        APART + "drop index concurrently if exists a_idx;\ncreate index concurrently a_idx on invoices (note);",
        "-- Nothing reads it.\n-- contract: since 0.3.0 nobody reads it\n"
        + LIMIT
        + "alter table invoices drop column note;",
        APART + "do $$ begin loop update invoices set note = '' where id in (select 1); end loop; end $$;",
        LIMIT + "create or replace function f() returns void language sql as $f$ update invoices set note = '' $f$;",
    ],
)
def test_what_can_run_beside_the_service_is_allowed(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("alter table invoices add column note text;", "require-lock-timeout"),
        ("create trigger t after insert on invoices for each row execute function f();", "require-lock-timeout"),
        ("create table r (id uuid, constraint c foreign key (id) references schools (id));", "require-lock-timeout"),
        (LIMIT + "create index if not exists a_idx on invoices (note);", "require-concurrent-index-creation"),
        (LIMIT + "create unique index a_idx on invoices (note);", "require-concurrent-index-creation"),
        (LIMIT + "create index concurrently a_idx on invoices (n);", "ban-concurrent-index-creation-in-transaction"),
        (APART + "create index concurrently if not exists a_idx on invoices (note);", "drop-index-first"),
        (APART + "alter table invoices add column note text;", "alter-outside-transaction"),
        (LIMIT + "alter table invoices add constraint c check (note <> '');", "constraint-missing-not-valid"),
        (
            LIMIT + "do $m$ begin if true then alter table a add constraint c check (a > 0); end if; end $m$;",
            "constraint-missing-not-valid",
        ),
        (LIMIT + "alter table a add constraint c foreign key (b) references b (b);", "constraint-missing-not-valid"),
        (LIMIT + "alter table invoices add constraint c unique (note);", "disallowed-unique-constraint"),
        (LIMIT + "alter table invoices add check (note <> '');", "constraint-missing-not-valid"),
        (
            LIMIT + "alter table a add constraint c check (b > 0) not valid; alter table a validate constraint c;",
            "constraint-missing-not-valid",
        ),
        (LIMIT + "alter table invoices alter column note type varchar(9);", "changing-column-type"),
        (LIMIT + "alter table invoices alter column note set not null;", "adding-not-nullable-field"),
        (LIMIT + "alter table invoices add column note text not null;", "adding-required-field"),
        (LIMIT + "alter table invoices add column key uuid not null default uuidv7();", "adding-field-with-default"),
        (LIMIT + "alter table a add column b numeric generated always as (a / 2) stored;", "adding-field-with-default"),
        (LIMIT + "alter table a add column b_id uuid references b (id);", "adding-foreign-key-constraint"),
        (LIMIT + "alter table invoices rename column note to notes;", "renaming-column"),
        (LIMIT + "alter table invoices drop column note;", "ban-drop-column"),
        (LIMIT + "drop table if exists invoices;", "ban-drop-table"),
        (LIMIT + "update invoices set note = '';", "rows-in-one-transaction"),
        (LIMIT + "delete from invoices where note = '';", "rows-in-one-transaction"),
        (LIMIT + "lock table invoices in exclusive mode;", "lock-table"),
    ],
)
def test_what_would_stop_the_service_is_refused(text: str, rule: str) -> None:
    assert rule in {fault.split(":")[0] for fault in faults(text)}

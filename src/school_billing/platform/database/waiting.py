"""Waiting for the database: at start it may still be on its way up."""

import sys
import time
from urllib.parse import urlsplit

import psycopg

from school_billing.platform.database.errors import DatabaseUnavailable

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


def wait_for_database(url: str, patience_seconds: float) -> None:
    """Return as soon as the database takes a connection; say on standard error that it is waited for.

    Raises:
        DatabaseUnavailable: It did not within `patience_seconds`, or refuses for a reason that waiting does not
            mend. The message names the server and never the password.
    """
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 5432}{parts.path}"
    deadline = time.monotonic() + patience_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            if time.monotonic() + pause > deadline:
                raise DatabaseUnavailable(f"The database {where} cannot be reached: {reason}") from error
            print(f"waiting for the database {where}: {reason}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet.
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        except psycopg.Error:
            # Its message would repeat the URL, password and all.
            raise DatabaseUnavailable("DATABASE_URL is not one that PostgreSQL understands.") from None
        else:
            return

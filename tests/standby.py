"""A primary and its streaming standby, both of our own, whatever the other tests run on."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from school_billing.platform.database.migrations import migrate
from school_billing.serving.embedded import binaries
from tests.postgres import Postgres

_SETTINGS = {
    "autovacuum": "off",  # What it removes would cancel a statement on the standby now and then.
    "wal_writer_delay": "10ms",  # Reads leave hints in the log, which no commit sends to the standby.
    "wal_retrieve_retry_interval": "50ms",  # A standby that starts does not wait for its primary.
}


class Pair:
    """A migrated primary, and a standby that replays it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.primary = Postgres(folder / "primary", **_SETTINGS)
        self.standby = Postgres(folder / "standby", **_SETTINGS)
        self._stack = ExitStack()

    def start(self) -> None:
        """Make both; from the thread that lives longest."""
        self._stack.callback(self.primary.stop)
        self.primary.start()
        migrate(self.primary.url)
        self._stack.callback(self.standby.stop)
        self._copy()
        self.standby.start()

    def stop(self) -> None:
        """Stop both."""
        self._stack.close()

    def renew_standby(self) -> None:
        """Put a new standby in the place of one that is none any more."""
        self.standby.stop()
        shutil.rmtree(self._folder / "standby")
        self._copy()
        self.standby.start()

    def on_primary(self, statement: str, *values: Any) -> Any:
        """Run a statement on the primary; return the first value of what comes back."""
        return _run(self.primary.url, statement, *values)

    def on_standby(self, statement: str, *values: Any) -> Any:
        """Run a statement on the standby; return the first value of what comes back."""
        return _run(self.standby.url, statement, *values)

    def catch_up(self) -> None:
        """Wait until the standby has replayed all that there is on the primary."""
        end = self.on_primary("select pg_current_wal_lsn()::text")
        self.wait_on_standby("select pg_last_wal_replay_lsn() >= %s::pg_lsn", end)

    def send(self) -> None:
        """Send the standby what no commit has sent yet, such as a lock."""
        self.on_primary("select pg_switch_wal()")

    def pause(self) -> None:
        """Let the standby replay nothing that comes from now on."""
        self.catch_up()
        self.on_standby("select pg_wal_replay_pause()")
        self.wait_on_standby("select pg_get_wal_replay_pause_state() = 'paused'")

    def resume(self) -> None:
        """Let the standby replay on, and wait until it has caught up."""
        self.on_standby("select pg_wal_replay_resume()")
        self.catch_up()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the standby replay nothing until the end of the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Let the standby cancel at once what is in the way of the replay, until the end of the block."""
        self.on_standby("alter system set max_standby_streaming_delay = 0")
        self.on_standby("select pg_reload_conf()")
        try:
            yield
        finally:
            self.on_standby("alter system reset max_standby_streaming_delay")
            self.on_standby("select pg_reload_conf()")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the standby's processes stand still until the end of the block: it takes connections and says nothing."""
        backends = "select array_agg(pid) from pg_stat_activity where application_name = 'school-billing'"
        processes = [self.standby.pid, *(self.on_standby(backends) or [])]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def wait_on_standby(self, condition: str, *values: Any) -> None:
        """Wait until `condition`, a query, is true on the standby."""
        deadline = time.monotonic() + 20
        with psycopg.connect(self.standby.url, autocommit=True) as psql:
            while psql.execute(condition.encode(), values).fetchone() != (True,):
                if time.monotonic() > deadline:
                    raise TimeoutError(condition)
                time.sleep(0.01)

    def _copy(self) -> None:
        """Make the standby's files: those of the primary, with the order to follow it."""
        ours, theirs = (self._folder / name / "postgres" for name in ("standby", "primary"))
        ours.mkdir(parents=True)
        shutil.copy(theirs / "password", ours)
        subprocess.run(
            [
                binaries() / "pg_basebackup",
                f"--pgdata={ours / 'data'}",
                f"--dbname={self.primary.url}",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
            ],
            check=True,
        )
        # Of root the servers are not, see embedded.py.
        owner = theirs.stat()
        for path in (ours, *ours.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextmanager
def pair_of_servers(folder: Path) -> Iterator[Pair]:
    """Run a primary and its standby under `folder` until the end of the block."""
    pair = Pair(folder)
    try:
        pair.start()
        yield pair
    finally:
        pair.stop()


def _run(url: str, statement: str, *values: Any) -> Any:
    with psycopg.connect(url, autocommit=True) as psql:
        cursor = psql.execute(statement.encode(), values)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None

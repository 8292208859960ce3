"""The embedded PostgreSQL, started for real; most tests share one cluster, which is what a cluster is for."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from school_billing.serving import embedded
from school_billing.serving.embedded import EmbeddedUnavailable, binaries, embedded_postgres

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, or holds on Linux alone")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up root")

HOLDER = """
import sys
from pathlib import Path
import psycopg
from school_billing.serving import embedded, parent

exec(sys.argv[2])
with embedded.embedded_postgres(Path(sys.argv[1])) as url, psycopg.connect(url) as connection:
    try:
        print(url, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        # A shutdown would cut this short.
        connection.execute("select pg_sleep(0.3)")
        print("the server is still there", flush=True)
"""

WITH_A_FORK = """
import os, sys, time
from pathlib import Path
from school_billing.serving.embedded import embedded_postgres

with embedded_postgres(Path(sys.argv[1])):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cluster, whose server does not run."""
    folder = tmp_path_factory.mktemp("shared")
    with embedded_postgres(folder, settings={"fsync": "off"}) as url:
        query(url, "create table kept (fact text primary key)")
    return folder


@contextmanager
def holder(data_dir: Path, before: str = "") -> Iterator["subprocess.Popen[str]"]:
    """Another process that runs `before`, then runs or joins the server until its input ends; it prints the URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir), before],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def leave(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def query(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def eventually(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(condition())


def status(pid: int | str, field: str) -> str:
    """Return what /proc says of the process, nothing where it is gone; one that nobody has buried yet is gone too."""
    try:
        fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    except OSError:
        return ""
    return "" if fields["State"].startswith("Z") else fields[field].split()[0]


def children(pid: int) -> list[int]:
    every = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
    return [int(other) for other in every if status(other, "PPid") == str(pid)]


def answers(url: str) -> bool:
    try:
        return query(url, "select 1") == [(1,)]
    except psycopg.OperationalError:
        return False


def test_data_survive_a_second_start(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        query(url, "insert into kept values ('second start')")
    assert not answers(url)
    with embedded_postgres(data_dir) as url:
        assert query(url, "select fact from kept where fact = 'second start'")


def test_data_are_safe_by_default_and_a_caller_may_say_otherwise(data_dir: Path) -> None:
    safety = "select current_setting('fsync'), current_setting('full_page_writes'), current_setting('data_checksums')"
    with embedded_postgres(data_dir) as url:
        assert query(url, safety) == [("on", "on", "on")]
    with embedded_postgres(data_dir, settings={"fsync": "off"}) as url:
        assert query(url, safety) == [("off", "on", "on")]


def test_the_password_is_the_owners_alone_and_no_other_opens(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as url:
        password = data_dir / "postgres" / "password"
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert password.read_text() in url
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            query(url.replace(password.read_text(), "guess"), "select 1")


@needs_proc
def test_the_server_does_not_see_our_secrets(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "a secret of the service")
    with embedded_postgres(data_dir):
        pid = (data_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"a secret of the service" not in environment


@needs_proc
def test_two_processes_that_start_at_once_share_one_server_which_goes_with_its_owner(tmp_path: Path) -> None:
    with holder(tmp_path) as one, holder(tmp_path) as other:
        url = url_of(one)
        assert url_of(other) == url
        owner, guest = (one, other) if status(server_pid(tmp_path), "PPid") == str(one.pid) else (other, one)
        leave(guest)
        assert answers(url)
        leave(owner)
        assert not answers(url)


@needs_proc
def test_a_killed_owner_leaves_no_process_behind_and_loses_no_row(data_dir: Path) -> None:
    with holder(data_dir) as owner:
        query(url_of(owner), "insert into kept values ('owner killed')")
        server = server_pid(data_dir)
        processes = [server, *children(server)]
        assert len(processes) > 3
        owner.kill()
    assert eventually(lambda: not any(status(pid, "PPid") for pid in processes))
    with embedded_postgres(data_dir) as url:
        assert query(url, "select fact from kept where fact = 'owner killed'")


def test_a_forked_worker_that_outlives_the_owner_does_not_keep_the_lock(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WITH_A_FORK, str(data_dir)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        worker = int(owner.stdout.readline())
        try:
            assert owner.wait(timeout=20) == 0
            with holder(data_dir) as other:
                assert eventually((data_dir / "postgres" / "data" / "postmaster.pid").exists)
                leave(other)
        finally:
            os.kill(worker, signal.SIGKILL)


@needs_proc
@pytest.mark.parametrize("told_to_stop", [True, False], ids=["about to stop", "as macOS leaves it"])
def test_a_killed_owners_server_makes_room_for_the_next_at_once(data_dir: Path, told_to_stop: bool) -> None:
    with holder(data_dir, "" if told_to_stop else "parent._PR_SET_PDEATHSIG = 0") as owner:
        url_of(owner)
        orphan = server_pid(data_dir)
        owner.kill()
    with embedded_postgres(data_dir) as url:
        assert status(orphan, "PPid") == ""
        assert status(server_pid(data_dir), "PPid") == str(os.getpid())
        assert answers(url)
    assert not answers(url)


@needs_proc
def test_a_killed_server_is_recovered_even_if_its_number_is_another_process_now(data_dir: Path) -> None:
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    with holder(data_dir) as owner:
        query(url_of(owner), "insert into kept values ('all killed')")
        server = server_pid(data_dir)
        os.kill(server, signal.SIGKILL)
    # Of the same user, as PostgreSQL knows by itself that others do not run its servers.
    with subprocess.Popen(["sleep", "60"], user=pid_file.stat().st_uid) as stranger:
        try:
            pid_file.write_text(pid_file.read_text().replace(str(server), str(stranger.pid), 1))
            with embedded_postgres(data_dir) as url:
                assert query(url, "select fact from kept where fact = 'all killed'")
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("content", [b"", b"\0" * 40], ids=["empty", "zeros"])
def test_a_pid_file_that_a_power_failure_garbled_is_no_obstacle(data_dir: Path, content: bytes) -> None:
    (data_dir / "postgres" / "data" / "postmaster.pid").write_bytes(content)
    with embedded_postgres(data_dir) as url:
        assert answers(url)


@needs_proc
def test_a_cluster_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        assert eventually(lambda: list(tmp_path.glob("postgres.new.*/data/base")))
        making = children(first.pid)
        first.kill()
        first.wait()
    assert not (tmp_path / "postgres").exists()
    assert eventually(lambda: not any(status(pid, "PPid") for pid in making))
    left = tmp_path / "postgres.new.left" / "data"
    left.mkdir(parents=True)
    with embedded_postgres(tmp_path) as url:
        assert answers(url)
    assert not left.parent.exists()


def test_ctrl_c_reaches_the_owner_alone_who_then_stops_the_server(data_dir: Path) -> None:
    with holder(data_dir) as owner:
        url = url_of(owner)
        os.killpg(owner.pid, signal.SIGINT)
        assert owner.stdout
        assert owner.stdout.readline() == "the server is still there\n"
        assert owner.wait(timeout=20) == 0
        assert not answers(url)


def test_a_server_that_does_not_start_shows_its_log(data_dir: Path) -> None:
    with (
        pytest.raises(EmbeddedUnavailable, match='invalid value for parameter "shared_buffers"'),
        embedded_postgres(data_dir, settings={"shared_buffers": "plenty"}),
    ):
        pass


def test_a_port_that_somebody_took_first_is_given_up_for_another(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = iter([taken, embedded._free_port()])
        monkeypatch.setattr(embedded, "_free_port", lambda: next(ports))
        with embedded_postgres(data_dir) as url:
            assert answers(url)
            assert str(taken) not in url


def test_an_error_of_the_caller_stops_the_server_and_stays_itself(data_dir: Path) -> None:
    seen = []

    def fail() -> None:
        with embedded_postgres(data_dir) as url:
            seen.append(url)
            raise FileNotFoundError("mine")

    with pytest.raises(FileNotFoundError, match=r"^mine$"):
        fail()
    assert not answers(seen[0])


def test_the_logs_of_two_runs_are_kept_and_no_more(data_dir: Path) -> None:
    logs = data_dir / "postgres.log", data_dir / "postgres.log.1"
    for _ in range(3):
        with embedded_postgres(data_dir):
            pass
    assert sorted(data_dir.glob("postgres.log*")) == list(logs)
    assert all(log.read_text().count("database system is ready") == 1 for log in logs)


def test_another_users_folder_is_refused_with_a_sentence(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(EmbeddedUnavailable, match=r"belongs to user \d+, so user 12345"), embedded_postgres(data_dir):
        pass


def test_another_versions_cluster_is_refused_with_a_sentence(data_dir: Path) -> None:
    version = data_dir / "postgres" / "data" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("9\n")
    try:
        with (
            pytest.raises(EmbeddedUnavailable, match="incompatible with server"),
            embedded_postgres(data_dir),
        ):
            pass
    finally:
        version.write_text(ours)


def test_a_folder_that_cannot_be_made_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refusal = re.escape(f"cannot run in {tmp_path / 'file' / 'data'}")
    with pytest.raises(EmbeddedUnavailable, match=refusal), embedded_postgres(tmp_path / "file" / "data"):
        pass


@pytest.mark.parametrize("installed", [False, True], ids=["not installed", "its folder is empty"])
def test_without_the_wheel_the_sentence_says_what_to_do(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("embedded_postgres", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec if installed else None)
    with pytest.raises(EmbeddedUnavailable, match=r"install school-billing\[embedded\], or set DATABASE_URL"):
        binaries()


@needs_proc
@needs_root
def test_root_runs_as_nobody_who_reaches_closed_folders_by_one_capability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    site = binaries().parent.parent.parent
    for package in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / package, closed / package)
    monkeypatch.setattr(embedded, "binaries", lambda: closed / "embedded_postgres" / "pginstall" / "bin")
    data_dir = closed / ".data"
    with embedded_postgres(data_dir) as url:
        assert answers(url)
        server = server_pid(data_dir)
        assert status(server, "Uid") == str((data_dir / "postgres").stat().st_uid) != "0"
        assert {status(server, name) for name in ("CapPrm", "CapEff", "CapAmb")} == {f"{1 << 1:016x}"}
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == data_dir.stat().st_uid == 0

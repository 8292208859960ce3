"""The commands as a person runs them, on an embedded PostgreSQL of their own."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.api import NOBODY
from tests.server import command, free_port, serve, wait_until_healthy

COMMAND = [sys.executable, "-m", "school_billing"]
ROOT = Path(__file__).parents[2]


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "ENVIRONMENT"}}
    return kept | {"DATA_DIR": str(folder / "data")} | more


def run(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(folder), capture_output=True, text=True, check=True
    ).stdout


@contextmanager
def serving(folder: Path, port: int, options: Sequence[str] = (), **popen: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run `school-billing serve`, and leave nothing of it behind, however the test ends."""
    process = subprocess.Popen(
        [*COMMAND, "serve", *options], env=environment(folder, PORT=str(port)), text=True, **popen
    )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}", process)
        yield process
    finally:
        process.kill()
        process.wait()


def servers_of(folder: Path) -> list[str]:
    """Return the processes that were started on the folder's data."""
    listing = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(folder) in line]


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 15
    while (left := servers_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def test_from_nothing_to_a_seeded_service_and_back(tmp_path: Path) -> None:
    assert "applied 0001" in run(tmp_path, "migrate")
    assert "up to date" in run(tmp_path, "migrate")
    assert [line.split()[1] for line in run(tmp_path, "seed").splitlines()] == ["the", "Springfield", "Riverside"]
    assert run(tmp_path, "psql", "-Atc", "select count(*) from schools") == "2\n"
    assert run(tmp_path, "--version").split()[0] == "school-billing,"
    assert not servers_of(tmp_path)

    for ending, code in ((signal.SIGTERM, None), (signal.SIGKILL, -9), (signal.SIGINT, None)):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with serving(tmp_path, port, stderr=subprocess.PIPE, start_new_session=True) as process:
            credentials = {"username": "admin", "password": "change_me"}
            token = httpx.post(f"{url}/auth/login", json=credentials).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}", "X-Request-Id": f"signal-{ending}"}
            assert httpx.post(f"{url}/schools", json={"name": "Shelbyville"}, headers=headers).status_code == 201
            os.killpg(process.pid, ending)
            _, log = process.communicate(timeout=15)
        assert code is None or process.returncode == code
        assert "Traceback" not in log
        assert "change_me" not in log
        assert token not in log
        lines = [json.loads(line) for line in log.splitlines()]
        posted = [line for line in lines if line.get("request_id") == f"signal-{ending}"]
        if ending != signal.SIGKILL:  # Which may come between the answer and its line.
            assert [(line["method"], line["route"], line["status"]) for line in posted] == [("POST", "/schools", 201)]
        wait_until_gone(tmp_path)

    # A person rolls back what was applied last, whichever that is by now.
    last = max(path.name for path in (Path(__file__).parents[2] / "migrations").glob("[0-9]*.sql")).partition(".")[0]
    assert f"rolled back {last}" in run(tmp_path, "rollback", "--yes")
    assert not servers_of(tmp_path)


def test_a_rollback_names_what_is_lost_and_asks(new_database: Callable[..., str]) -> None:
    url = new_database()
    with psycopg.connect(url) as psql:
        psql.execute("insert into schools (name) values ('Springfield'), ('Shelbyville')")
        entries = psql.execute("select count(*) from audit_log").fetchone()
    secrets = {"JWT_SECRET": "0123456789abcdef0123456789abcdef", "ADMIN_PASSWORD": "saxophone forever"}

    def roll_back(*options: str, answer: str = "", **more: str) -> tuple[int, str]:
        done = command(url, "rollback", "--count=99", *options, typed=answer, **secrets, **more)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    for answer in ("", "n\n"):
        code, shown = roll_back(answer=answer)
        assert (code, "Aborted" in shown, "rolled back" in shown) == (1, True, False)
        assert "lost: schools (2 rows)" in shown
        assert entries is not None
        assert f"lost: audit_log ({entries[0]} rows)" in shown
    code, shown = roll_back("--yes", ENVIRONMENT="production")
    assert (code, "--drop-audit-trail" in shown, "rolled back" in shown) == (1, True, False)
    with psycopg.connect(url) as psql:
        assert psql.execute("select count(*) from schools").fetchone() == (2,)
    code, shown = roll_back("--drop-audit-trail", answer="y\n", ENVIRONMENT="production")
    assert (code, "rolled back 0001" in shown) == (0, True)


def test_a_second_command_joins_the_server_that_runs_and_a_reset_waits_for_its_end(tmp_path: Path) -> None:
    port = free_port()
    ours = tmp_path / "data" / "ours.txt"
    ours.parent.mkdir()
    ours.touch()
    assert "nothing to remove" in run(tmp_path, "reset")
    with serving(tmp_path, port, stderr=subprocess.DEVNULL) as process:
        run(tmp_path, "migrate")
        run(tmp_path, "seed", "--no-demo")
        reset = subprocess.run(
            [*COMMAND, "reset"], env=environment(tmp_path), capture_output=True, text=True, check=False
        )
        assert (reset.returncode, reset.stdout) == (1, "")
        assert "Stop it first" in reset.stderr
        credentials = {"username": "admin", "password": "change_me"}
        assert httpx.post(f"http://127.0.0.1:{port}/auth/login", json=credentials).status_code == 200
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)
    wait_until_gone(tmp_path)
    assert f"removing {ours.parent / 'postgres'}\n" in run(tmp_path, "reset")
    assert list(ours.parent.iterdir()) == [ours]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_whose_embedded_postgresql_was_killed_ends_and_says_why(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, free_port(), [f"--workers={workers}"], stderr=subprocess.PIPE) as process:
        os.kill(int((tmp_path / "data/postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        _, log = process.communicate(timeout=15)
    assert process.returncode == 1
    assert log.splitlines()[-1].startswith("school-billing: The embedded PostgreSQL has ended by itself; ")
    assert workers > 1 or "Traceback" not in log  # The second worker may be about to start.
    wait_until_gone(tmp_path)


def test_a_port_that_is_taken_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in (["--check-port"], []):
            done = subprocess.run(
                [*COMMAND, "serve", *option],
                env=environment(tmp_path, PORT=str(port)),
                capture_output=True,
                text=True,
                check=False,
            )
            sentence = (
                f"school-billing: Port {port} on 127.0.0.1 cannot be used: Address already in use. Stop the program"
            )
            assert (done.returncode, done.stderr.startswith(sentence), done.stdout) == (1, True, ""), done.stderr
            assert (tmp_path / "data").exists() is not bool(option)
    command = ["make", "-n", "-o", "install", "run"]
    # As a person types it, although this may run under `make test`.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    steps = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
    *before, hello, serve = steps.stdout.splitlines()
    assert [step.rpartition("school-billing ")[2] for step in before] == ["serve --check-port", "migrate", "seed"]
    assert "http://127.0.0.1:8000/docs" in hello
    assert "admin with the password change_me" in hello
    assert serve.endswith("serve --with-parent")


def test_make_alone_lists_every_target() -> None:
    root = Path(__file__).parents[2]
    listed = subprocess.run(["make"], cwd=root, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE)
    assert all(f"  {target} " in listed for target in targets)


def test_users_are_managed_at_the_command_line(new_database: Callable[..., str]) -> None:
    url = new_database()

    def user(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return command(url, "user", *arguments, typed=typed)

    with serve(url) as server, psycopg.connect(url, autocommit=True) as psql:

        def logs_in(password: str) -> int:
            credentials = {"username": "lisa", "password": password}
            return httpx.post(f"{server.url}/auth/login", json=credentials).status_code

        assert user("add", "admin", "--role=admin", typed="trombone forever\n").returncode == 0
        school = str(uuid4())
        psql.execute("insert into schools (id, name) values (%s, 'Springfield')", [school])
        added = user("add", "lisa", "--role=accountant", f"--school={school}", typed="saxophone forever\n")
        assert added.stdout == f"added lisa, accountant of school {school}\n", added.stderr
        assert logs_in("saxophone forever") == 200
        listed = user("list").stdout.splitlines()
        assert listed == ["admin, admin of all schools, active", f"lisa, accountant of school {school}, active"]

        assert user("disable", "Lisa").stdout == "disabled lisa\n"
        assert logs_in("saxophone forever") == 401
        assert ", disabled " in user("list").stdout.splitlines()[1]
        assert user("enable", "lisa").stdout == "enabled lisa\n"

        assert user("unlock", "Lisa").stdout == "lifted 3 throttles of lisa\n"
        assert user("password", "lisa", typed="trombone forever\n").returncode == 0
        assert (logs_in("saxophone forever"), logs_in("trombone forever")) == (401, 200)

    for arguments, typed, sentence in (
        (["add", "bart"], "", "the password must have 12 to 128 characters"),
        (["add", "Bart Simpson"], "trombone forever\n", "a username has"),
        (["add", "lisa"], "trombone forever\n", "Another user has this username."),
        (["add", "bart", f"--school={NOBODY}"], "trombone forever\n", "There is no such school."),
        (["disable", "admin"], "", "This is the last enabled administrator of all schools."),
        (["password", "bart"], "trombone forever\n", "there is no user 'bart'"),
    ):
        refused = user(*arguments, typed=typed)
        assert refused.returncode == 1
        assert sentence in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_password_is_asked_for_twice_and_not_shown(new_database: Callable[..., str]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "user", "add", "lisa"],
        env=os.environ | {"DATABASE_URL": new_database()},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""

    def read_until(expected: str) -> None:
        nonlocal shown
        while expected not in shown:
            shown += os.read(ours, 1000).decode()

    read_until("Password of lisa: ")
    os.write(ours, b"saxophone forever\n")
    read_until("Again: ")
    os.write(ours, b"saxophone forever\n")
    read_until("added lisa, viewer of all schools")
    assert process.wait(timeout=15) == 0
    os.close(ours)
    assert "saxophone" not in shown

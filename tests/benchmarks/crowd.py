"""`make bench-crowd`: what a stranger notices while forty readers ask for the statement of a school of 60,000 invoices.

They ask for it in every form, and half of them leave before the end. `--old` measures another checkout beside this one.
"""

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic
from uuid import uuid4

import httpx
import msgspec
import psycopg

from school_billing.auth.contracts import Role
from school_billing.auth.passwords import hash_password
from school_billing.platform.settings import DEVELOPMENT_JWT_SECRET
from school_billing.serving.embedded import embedded_postgres
from tests.accounts import log_in
from tests.benchmarks import dataset
from tests.server import free_port, wait_until_healthy

READERS = 40
FORMS = ("", "?from=2025-09-01", "?as_of=2026-03-01", ".html", ".pdf", ".csv", ".ndjson")
PASSWORD = "saxophone forever"


class Waits(msgspec.Struct):
    """How long a stranger waited, in seconds."""

    log_in: list[float] = []
    read: list[float] = []
    failures: int = 0


class Found(msgspec.Struct):
    """What was measured of one build."""

    quiet: Waits
    crowded: Waits
    resident_mb: float
    recovered_seconds: float


def main() -> None:
    """Measure this build, and the other one if there is one, and print a table."""
    parser = argparse.ArgumentParser(prog="make bench-crowd", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="the length of the crowd's stay (default: 30)")
    parser.add_argument("--old", type=Path, help="another checkout with its .venv")
    parser.add_argument("--crowd", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.crowd:
        asyncio.run(read_together(*options.crowd))
        return
    builds = {"this build": Path(__file__).parents[2]} | ({"old": options.old} if options.old else {})
    print("| | log-in, quiet | log-in | log-in, most | read, quiet | read | failed | resident | back after |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, checkout in builds.items():
        print(row(name, measure(checkout, options.seconds)))


def row(name: str, found: Found) -> str:
    """Return the row of one build; medians where it says no more."""
    median = statistics.median
    quiet, crowded = found.quiet, found.crowded
    log_ins = f"{median(quiet.log_in):.2f} s | {median(crowded.log_in):.2f} s | {max(crowded.log_in):.2f} s"
    reads = f"{1000 * median(quiet.read):.1f} ms | {1000 * median(crowded.read):.1f} ms"
    rest = f"{crowded.failures} | {found.resident_mb:.0f} MB | {found.recovered_seconds:.1f} s"
    return f"| {name} | {log_ins} | {reads} | {rest} |"


def measure(checkout: Path, seconds: float) -> Found:
    """Serve the build of a checkout with a database of its own, and measure it."""
    python = str(checkout / ".venv" / "bin" / "python")
    with tempfile.TemporaryDirectory(prefix="school-billing-crowd-") as folder, ExitStack() as stack:
        url = stack.enter_context(embedded_postgres(Path(folder), settings={"fsync": "off"}))
        port = free_port()
        environment = os.environ | {"DATABASE_URL": url, "PORT": str(port), "OVERDUE_INTERVAL_SECONDS": "0"}
        migrate = [python, "-m", "school_billing", "migrate"]
        subprocess.run(migrate, env=environment, cwd=checkout, check=True, stdout=subprocess.DEVNULL)
        dataset.load(url, dataset.LARGE_SCHOOL, 1, dataset.LARGE_STUDENTS)
        dataset.load(url, dataset.LARGE_SCHOOL + 1, 1, dataset.SMALL_STUDENTS)
        dataset.settle(url)
        with psycopg.connect(url) as psql:
            psql.execute(
                "insert into users (username, password_hash, role) values ('stranger', %s, 'viewer')",
                [hash_password(PASSWORD)],
            )
        serve = [python, "-m", "school_billing", "serve"]
        process = subprocess.Popen(serve, env=environment, cwd=checkout, stderr=subprocess.DEVNULL, text=True)
        try:
            server = f"http://127.0.0.1:{port}"
            wait_until_healthy(server, process)
            return asyncio.run(watch(server, url, process.pid, seconds))
        finally:
            process.terminate()
            process.wait()


async def watch(server: str, url: str, pid: int, seconds: float) -> Found:
    """Measure the stranger alone, then beside the crowd, then how soon all is as before."""
    token = log_in(url, DEVELOPMENT_JWT_SECRET, Role.VIEWER, dataset.school_id(dataset.LARGE_SCHOOL + 1))
    crowd_token = log_in(url, DEVELOPMENT_JWT_SECRET, Role.VIEWER, dataset.school_id(dataset.LARGE_SCHOOL))
    async with httpx.AsyncClient(
        base_url=server, headers={"Authorization": f"Bearer {token}"}, timeout=httpx.Timeout(90)
    ) as stranger:
        quiet = Waits([], [])
        for _ in range(12):
            await visit(stranger, quiet)
        crowded, resident = Waits([], []), 0.0
        with crowd(server, crowd_token):
            end = monotonic() + seconds
            while monotonic() < end:
                await visit(stranger, crowded)
                resident = max(resident, resident_mb(pid))
        left = monotonic()
        while True:
            after = Waits([], [])
            await visit(stranger, after)
            if after.log_in and after.log_in[0] <= 2 * statistics.median(quiet.log_in):
                break
        return Found(quiet, crowded, resident, monotonic() - left - after.log_in[0])


async def visit(stranger: httpx.AsyncClient, waits: Waits) -> None:
    """Log in once and read ten students."""
    account = {"username": "stranger", "password": PASSWORD}

    async def timed(times: list[float], request: Callable[[], Awaitable[httpx.Response]]) -> None:
        started = monotonic()
        try:
            answer = await request()
        except httpx.HTTPError:
            waits.failures += 1
        else:
            waits.failures += answer.status_code != 200
        times.append(monotonic() - started)

    await timed(waits.log_in, lambda: stranger.post("/auth/login", json=account))
    for place in range(1, 11):
        path = f"/students/{dataset.student_id(dataset.LARGE_SCHOOL + 1, place)}"
        await timed(waits.read, lambda path=path: stranger.get(path))  # type: ignore[misc] # mypy cannot infer the lambda


@contextmanager
def crowd(server: str, token: str) -> Iterator[None]:
    """Let forty readers ask again and again until the end of the block. Their CPU is not the stranger's."""
    command = [sys.executable, "-m", __spec__.name, "--crowd", server, token]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # It is there.
        yield
    finally:
        process.kill()
        process.wait()


async def read_together(server: str, token: str) -> None:
    """Be the crowd, which takes its CPU last: its machines would be others."""
    os.nice(19)
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=server, headers=headers, timeout=60, limits=limits) as client:
        readers = [asyncio.create_task(read_on(client, number)) for number in range(READERS)]
        await asyncio.sleep(2)
        print("ready", flush=True)
        await asyncio.gather(*readers)


async def read_on(client: httpx.AsyncClient, number: int) -> None:
    """Ask for one form after the other. Half of the readers leave within two seconds."""
    chance = random.Random(number)  # noqa: S311 - the same crowd each time
    path = f"/schools/{dataset.school_id(dataset.LARGE_SCHOOL)}/statement"
    for turn in range(1_000_000):
        patience = chance.uniform(0.1, 2) if number % 2 else 60
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(patience):
                headers = {"X-Request-Id": uuid4().hex}
                async with client.stream("GET", path + FORMS[(number + turn) % len(FORMS)], headers=headers) as answer:
                    async for _ in answer.aiter_raw():
                        pass
                    if answer.status_code == 503:
                        await asyncio.sleep(float(answer.headers["retry-after"]))


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()

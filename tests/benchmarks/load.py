"""The load generators: wrk for the servers, pgbench for the database behind them."""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import msgspec

from school_billing.platform.database.sql import AnyQuery
from school_billing.serving.embedded import binaries

CONNECTIONS = 16
_HERE = Path(__file__).parent
_STRING_OR_COMMENT = re.compile(r"--[^\n]*|'(?:[^']|'')*'")


class Load(msgspec.Struct, frozen=True):
    """What to send: "METHOD /path body" lines, over and over, or each once by one caller."""

    requests: tuple[str, ...]
    token: str = ""
    with_keys: bool = False
    connections: int = CONNECTIONS
    once: bool = False


class Answered(msgspec.Struct, frozen=True):
    """What came back in a stretch of time."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def drive(url: str, load: Load, seconds: float) -> Answered:
    """Send `load` to the server at `url` for a while; on a slow machine, for as long as the first answer takes.

    Raises:
        RuntimeError: An answer was not 2xx: then there is nothing to compare.
    """
    if load.once:
        return _once(url, load)
    with tempfile.NamedTemporaryFile("w", suffix=".requests") as file:
        file.write("\n".join(load.requests))
        file.flush()
        key = uuid4().hex if load.with_keys else ""
        send = _wrk if shutil.which("wrk") else _locust
        answered = send(url, Path(file.name), load, key, seconds)
    if not answered.requests and seconds < 60:
        return drive(url, load, 2 * seconds)
    if answered.failed or not answered.requests:
        raise RuntimeError(f"{answered.failed} of {answered.requests} requests failed, the first is {load.requests[0]}")
    return answered


def _once(url: str, load: Load) -> Answered:
    times, failed = [], 0
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {load.token}"}, timeout=60) as client:
        client.get("/health")
        for line in load.requests:
            method, path, *body = line.split(" ", 2)
            started = time.perf_counter()
            answer = client.request(
                method, path, content="".join(body), headers={"Content-Type": "application/json"} if body else {}
            )
            times.append(time.perf_counter() - started)
            failed += not answer.is_success
    centiles = statistics.quantiles(times, n=100, method="inclusive")
    return Answered(len(times), sum(times), 1000 * statistics.median(times), 1000 * centiles[98], failed)


def _wrk(url: str, file: Path, load: Load, key: str, seconds: float) -> Answered:
    how = ["-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    command = ["wrk", *how, "-s", str(_HERE / "wrk.lua"), url, "--", str(file), load.token, key]
    output = _run(command)
    return msgspec.json.decode(output.strip().splitlines()[-1], type=Answered)


def _locust(url: str, file: Path, load: Load, key: str, seconds: float) -> Answered:
    users = str(load.connections)
    how = [
        "--headless",
        "--users",
        users,
        "--spawn-rate",
        users,
        "--run-time",
        f"{max(1, round(seconds))}s",
        "--json",
        "--only-summary",
    ]
    command = ["uv", "run", "--no-project", "--with", "locust", "locust", "-f", str(_HERE / "locustfile.py"), *how]
    environment = {"BENCH_REQUESTS": str(file), "BENCH_TOKEN": load.token, "BENCH_KEY": key}
    output = _run([*command, "--host", url], environment)
    (all_requests,) = json.loads(output)
    times = sorted((float(ms), count) for ms, count in all_requests["response_times"].items())
    return Answered(
        requests=all_requests["num_requests"],
        seconds=all_requests["last_request_timestamp"] - all_requests["start_time"],
        p50_ms=_percentile(times, 0.5),
        p99_ms=_percentile(times, 0.99),
        failed=all_requests["num_failures"],
    )


def _percentile(times: Sequence[tuple[float, int]], share: float) -> float:
    left = share * sum(count for _, count in times)
    for milliseconds, count in times:
        left -= count
        if left <= 0:
            return milliseconds
    return 0.0


class Drawn(msgspec.Struct, frozen=True):
    """A value that pgbench draws anew for each statement: an expression over `:place`, 0 to 99, and `:nonce`."""

    expression: str


class Statement(msgspec.Struct, frozen=True):
    """A query with its values; what is not named is null."""

    query: AnyQuery
    values: dict[str, Any]


def pgbench(database_url: str, statement: Statement, seconds: float, connections: int = CONNECTIONS) -> float:
    """Run a query for a while, prepared; return how often a second."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write("\\set place random(0, 99)\n\\set nonce random(1, 1000000000000)\n")
        script.write(f"{with_values(statement.query, statement.values)};\n")
        script.flush()
        how = ["-n", "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(max(1, round(seconds)))]
        url = urlsplit(database_url)
        output = _run(
            [str(binaries() / "pgbench"), *how, "-f", script.name, url.path.lstrip("/")],
            {
                "PGHOST": url.hostname or "",
                "PGPORT": str(url.port),
                "PGUSER": url.username or "",
                "PGPASSWORD": url.password or "",
            },
        )
    found = re.search(r"tps = ([0-9.]+)", output)
    if found is None or "aborted" in output:
        raise RuntimeError(output)
    return float(found[1])


def with_values(query: AnyQuery, values: Mapping[str, Any]) -> str:
    """Return the text of the query with its values in it, as pgbench takes it."""
    text = _STRING_OR_COMMENT.sub(_without_colons, query.text)

    def value(parameter: re.Match[str]) -> str:
        given = values.get(query.parameters[int(parameter[1]) - 1])
        if given is None:
            return "null"
        if isinstance(given, Drawn):
            return given.expression
        return str(given) if isinstance(given, int) else f"'{given}'"

    return re.sub(r"\$(\d+)", value, text)


def _without_colons(found: re.Match[str]) -> str:
    """Hide colons, which begin a variable of pgbench wherever they stand."""
    if found[0].startswith("--"):
        return ""
    return "E" + found[0].replace(":", r"\x3a") if ":" in found[0] else found[0]


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    return done.stdout

"""`make test-cluster` sends the same requests to a Citus cluster and to a plain PostgreSQL, and lists what differs.

CLUSTER_DATABASE_URL names a database of the coordinator without schools, TEST_DATABASE_URL a server for the plain one.
"""

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from difflib import unified_diff
from itertools import zip_longest
from typing import NamedTuple

import httpx
import psycopg

from school_billing.auth.contracts import Role
from tests.api import Api, Json
from tests.postgres import create_database, drop_database
from tests.routes import bodies, furnish, operations, paths, queries
from tests.server import Server, command, serve

_METHODS = ("get", "post", "put", "patch", "delete")
# What no two databases have in common: ids and what is computed from them, moments, secrets and hashes.
_OWN = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:[\d.]+)?(Z|\+00(:?00)?)?|RF\d\d\w+"
    r"|\bRF\d\d( \w{1,4})+|sb\w_[\w-]+|[0-9a-f]{32,64}|\d+:\d\d\s[AP]M"
)
KNOWN = {
    r"GET /audit\b": "The lines of an invoice have audit entries of their own. They are not in that of the invoice.",
    r"\S+ (/schools/\S+)?/closings\b": "The position in the audit trail counts these entries, too.",
    r"DELETE /students/": "Two foreign keys refuse, and the error names the other one.",
}
"""The requests whose answers may differ, except by status, with the reason. docs/scaling.md has the same list."""


class Answer(NamedTuple):
    """An answer, in the words that both servers have in common."""

    request: str
    status: int
    body: str


class Walk:
    """The requests to one server, with what it answered."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._names: dict[str, str] = {}
        self.answers: list[Answer] = []

    def client(self, role: Role, school_id: str | None = None, username: str = "") -> httpx.AsyncClient:
        """Return a client of a user, whose answers are noted."""
        headers = self._server.logged_in(role, school_id, username)
        return httpx.AsyncClient(
            base_url=self._server.url, headers=headers, timeout=60, event_hooks={"response": [self._note]}
        )

    async def through_every_route(self, client: httpx.AsyncClient, ids: Json, others: Json) -> None:
        """Send every request of the OpenAPI document, with bodies that fit; a POST twice, with one key."""
        self._names |= {value: name for name, value in ids.items()}
        listed = operations((await client.get("/openapi.json")).json())
        for template, method, operation in sorted(listed, key=lambda one: _METHODS.index(one[1])):
            # These end the walk's own sessions, or tell of the server.
            if template.startswith(("/auth", "/health", "/metrics")):
                continue
            given = bodies(operation["operationId"], ids, others) if "requestBody" in operation else [None]
            for path in paths(template, ids):
                for query in queries(operation, ids):
                    for body in given:
                        key = {"Idempotency-Key": str(len(self.answers))}
                        for _ in range(1 + (method == "post")):
                            await client.request(method, f"{path}?{query}", json=body, headers=key)

    async def _note(self, response: httpx.Response) -> None:
        await response.aread()
        kind = response.headers.get("content-type", "")
        body = response.text if kind.startswith(("application/json", "application/problem", "text")) else kind
        request = response.request
        sent = f"{request.method} {request.url.raw_path.decode()} {request.content.decode()}"
        self.answers.append(Answer(self._plainly(sent), response.status_code, self._plainly(body)))

    def _plainly(self, text: str) -> str:
        return _OWN.sub(lambda found: f"<{self._names.get(found[0], '')}>", text)


async def walk(server: Server) -> list[Answer]:
    """Walk through every route as a caller of all schools, and as callers of one, each time with another school."""
    walked = Walk(server)
    async with walked.client(Role.ADMIN, username="walker") as admin:
        others = await furnish(Api(admin), "others")
        await walked.through_every_route(admin, await furnish(Api(admin), "every"), others)
        for role in (Role.ADMIN, Role.ACCOUNTANT):
            school = await Api(admin).school(name="School of one", invoice_prefix="ONE")
            async with walked.client(Role.ADMIN, school["id"], f"owner-of-{role.value}") as owner:
                ids = await furnish(Api(owner), f"of-{role.value}", school)
            async with walked.client(role, school["id"], f"one-{role.value}") as one:
                await walked.through_every_route(one, ids, others)
    return walked.answers


def run(database_url: str, citus: str, *arguments: str) -> None:
    """Run a command of the service, and end with what it says if it fails."""
    done = command(database_url, *arguments, CITUS=citus)
    if done.returncode:
        raise SystemExit(f"{arguments} failed: {done.stderr}{done.stdout}")


def compare(cluster: Sequence[Answer], plain: Sequence[Answer]) -> tuple[list[str], int]:
    """Return a text about each answer that differs without a known reason, and how many differ with one."""
    found, known = [], 0
    for there, here in zip_longest(cluster, plain, fillvalue=Answer("nothing", 0, "")):
        if there == here:
            continue
        if there.status == here.status and any(re.match(request, here.request) for request in KNOWN):
            known += 1
            continue
        at = next((place for place, (a, b) in enumerate(zip(there.body, here.body, strict=False)) if a != b), 0)
        part = slice(max(0, at - 60), at + 140)
        found.append(
            f"{here.request}\n  plain   {here.status} {here.body[part]}\n  cluster {there.status} {there.body[part]}\n"
        )
    return found, known


def authors(database_url: str) -> list[str]:
    """Return who wrote what, from the audit trail, but for the entries that only a cluster has."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select entity, action, actor, request_id is not null, count(*) from audit_log "
            "where entity <> 'invoice_lines' group by 1, 2, 3, 4 order by 1, 2, 3, 4"
        ).fetchall()
    return [" ".join(map(str, row)) for row in rows]


def refuse_schools(database_url: str) -> None:
    """Refuse a database that somebody uses."""
    with psycopg.connect(database_url) as connection:
        has_table = connection.execute("select from pg_class where oid = to_regclass('schools')").rowcount
        if has_table and connection.execute("select from schools limit 1").rowcount:
            raise SystemExit("CLUSTER_DATABASE_URL must name a database without schools.")


async def main() -> str | None:
    """Walk on both, and return the differences, or None if there is none."""
    cluster, plain_server = (os.environ.get(name) for name in ("CLUSTER_DATABASE_URL", "TEST_DATABASE_URL"))
    if not cluster or not plain_server:
        raise SystemExit("Set CLUSTER_DATABASE_URL and TEST_DATABASE_URL; tests/cluster.py says to what.")
    refuse_schools(cluster)
    plain = create_database(plain_server, "school_billing_test_walk")
    answers, trails = [], []
    try:
        for url, citus in ((cluster, "true"), (plain, "false")):
            run(url, citus, "migrate")
            if url == cluster:
                run(url, citus, "distribute")
            # Entries that are sealed during the walk would differ.
            with serve(url, None, 1, AUDIT_SEAL_INTERVAL_MS="3600000", CITUS=citus) as server:
                answers.append(await walk(server))
            run(url, citus, "ledger", "seal")
            run(url, citus, "ledger", "verify")
            trails.append(authors(url))
    finally:
        drop_database(plain_server, "school_billing_test_walk")
    found, known = compare(*answers)
    found += unified_diff(trails[0], trails[1], "cluster", "plain", lineterm="", n=0)
    sys.stdout.write(f"{len(answers[1])} requests, {known} known differences, {len(found)} others\n")
    return "\n".join(found) or None


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

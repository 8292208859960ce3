"""The load of wrk.lua for Locust, where there is no wrk. Locust's own Python is slow: only the ratios mean much."""

import itertools
import os
from pathlib import Path

from locust import FastHttpUser, task

_LINES = [line.split(" ", 2) for line in Path(os.environ["BENCH_REQUESTS"]).read_text().splitlines()]
_TURNS = itertools.count()


class Caller(FastHttpUser):
    """One connection that sends a request after the other."""

    @task
    def send(self) -> None:
        """Send the next request of the file."""
        turn = next(_TURNS)
        method, path, *body = _LINES[turn % len(_LINES)]
        headers = {"Content-Type": "application/json"}
        if token := os.environ["BENCH_TOKEN"]:
            headers["Authorization"] = f"Bearer {token}"
        if key := os.environ["BENCH_KEY"]:
            headers["Idempotency-Key"] = f"{key}-{turn}"
        self.client.request(method, path, name="all", data=body[0] if body else None, headers=headers)

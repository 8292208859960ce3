"""What a migration must not do to a service that runs meanwhile; docs/operations.md says why and what to do instead.

squawk judges; the four rules at the end are what it does not know.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

# 15 is the oldest PostgreSQL that is supported.
_SQUAWK = [str(Path(sys.executable).with_name("squawk")), "--reporter=json", "--pg-version=15"]
_EXCLUDED = (
    "prefer-bigint-over-int,"  # Ids are UUIDs and amounts are numeric: an int here counts something small.
    "prefer-bigint-over-smallint,"  # The same.
    "prefer-robust-stmts,"  # It asks for `if not exists`, which passes over an index whose build failed.
    "require-statement-timeout"  # To validate a long table takes long, and keeps nobody out.
)
_IN_TRANSACTION = ["--assume-in-transaction", f"--exclude={_EXCLUDED}"]
# Nobody waits behind a concurrent build while it waits for a lock, and one that gave up would have to begin anew.
_APART = ["--no-assume-in-transaction", f"--exclude={_EXCLUDED},require-lock-timeout"]

_CONTRACTS = ("ban-drop-", "renaming-")


def faults(text: str) -> list[str]:
    """Return what is wrong with a migration, each as `rule: why`; nothing where all is well."""
    head = list(takewhile(lambda line: line.startswith("--"), text.splitlines()))
    apart = "-- transactional: false" in head
    is_contract = any(re.match(r"-- contract: \S.{10,}", line) for line in head)
    # The body of a function runs later. That of a do block runs now, and squawk, to which it is a string, is shown it.
    code = re.sub(r"--[^\n]*|\bas\s+\$(\w*)\$.*?\$\1\$", "", text.lower(), flags=re.DOTALL)
    code = " ".join(re.sub(r"'[^']*'", "''", code).split())
    blocks = " ".join(body for _, body in re.findall(r"\bdo \$(\w*)\$(.*?)\$\1\$", code))
    hidden = re.findall(r"\b(?:alter|drop|create (?:unique )?index) [^;]*;", blocks)
    command = [*_SQUAWK, *(_APART if apart else _IN_TRANSACTION)]
    run = subprocess.run(command, input="\n".join([text, *hidden]), capture_output=True, text=True, check=False)
    found = [f"{fault['rule_name']}: {fault['message']}" for fault in json.loads(run.stdout)]
    return [fault for fault in found if not (is_contract and fault.startswith(_CONTRACTS))] + list(_ours(code, apart))


def _ours(code: str, apart: bool) -> Iterator[str]:
    if not apart and re.search(r"(?<!on )\bupdate [\w.\"]+ (?:\w+ ){0,2}set\b|\bdelete from\b", code):
        yield "rows-in-one-transaction: change them in parts, transactional: false"
    if apart and "alter table" in code:
        yield "alter-outside-transaction: it needs one that begins with `set local lock_timeout`"
    if re.search(r"(?:^|; )(?:lock|cluster|vacuum full)\b|\block table\b", code):
        yield "lock-table: keeps everybody out for as long as it takes"
    for index in re.findall(r"create (?:unique )?index concurrently (?:if not exists )?(\w+)", code):
        if f"drop index concurrently if exists {index};" not in code:
            yield f"drop-index-first: a build of {index} that failed leaves it there, invalid"

"""A generated client is a user of the API: its code type-checks, and its example runs against the service."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from school_billing.platform.database.pool import Database
from school_billing.platform.settings import Settings
from school_billing.seed import SPRINGFIELD, seed
from tests.openapi import document
from tests.server import serve

PYTHON = Path(__file__).parents[2] / "clients" / "python"


async def test_the_example_of_the_generated_python_client_is_typed_and_runs(
    new_database: Callable[..., str], tmp_path: Path
) -> None:
    url = new_database()
    await seed(Settings(database_url=url), demo=False)
    async with Database(Settings(database_url=url)) as database:
        await database.one(SPRINGFIELD)
    shutil.copy(PYTHON / "example.py", tmp_path)
    with serve(url) as server:
        (tmp_path / "openapi.json").write_text(await document())
        generate = [
            *(tool("openapi-python-client"), "generate", "--path=openapi.json", f"--config={PYTHON / 'config.yaml'}"),
            *("--meta=none", "--output-path=school_billing_client", "--fail-on-warning"),
        ]
        run(generate, tmp_path)
        run([tool("mypy"), "--config-file=", "--strict", "example.py"], tmp_path)
        printed = run([sys.executable, "example.py"], tmp_path, API=server.url)
    assert printed.splitlines() == [
        "paid 50.00 USD",
        "refused: overpayment",
        "PAYMENT 300.00 DEMO-PARTIAL-1",
        "REFUND 50.00 DEMO-REFUND-1",
        "PAYMENT 50.00 None",
    ]


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def run(command: list[str], folder: Path, **environment: str) -> str:
    result = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout

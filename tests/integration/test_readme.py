"""What README.md and docs/ say, held against the service: requests and their answers, routes, settings and links."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from school_billing.platform.settings import Settings
from school_billing.seed import seed
from tests.server import Server, serve

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md"})  # It tells of the past.
BOUNDARY = "---- the next block ----\n"


def section(page: str, title: str) -> str:
    return (ROOT / page).read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


def shape(value: Any) -> Any:
    """Return what has to be the same in each run: keys, amounts, codes, numbers, and the kinds of everything else."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    is_same = isinstance(value, int) or re.fullmatch(r"-?\d+\.\d\d|[A-Z]+|[a-z]+_[a-z_]+|must .*", str(value))
    return value if is_same else type(value)


def documents(text: str) -> list[Any]:
    """Return the JSON documents that follow each other in a text."""
    found, place, decoder = [], 0, json.JSONDecoder()
    while rest := text[place:].lstrip():
        document, length = decoder.raw_decode(rest)
        found.append(document)
        place = len(text) - len(rest) + length
    return found


@pytest.fixture(scope="module")
async def demo(new_database: Callable[..., str]) -> AsyncIterator[Server]:
    """A server on a seeded database of its own."""
    settings = Settings(database_url=new_database())
    await seed(settings, demo=True)
    with serve(settings.database_url) as running:
        yield running


@pytest.mark.parametrize(
    ("text", "document"),
    [
        (section("README.md", "Five requests"), "statement.pdf"),
        ((ROOT / "docs" / "families.md").read_text(), "family.pdf"),
        ((ROOT / "docs" / "billing.md").read_text(), "term.pdf"),
        ((ROOT / "docs" / "closing-a-month.md").read_text(), "invoice.pdf"),
    ],
    ids=["README", "families", "billing", "closing-a-month"],
)
def test_requests_work_as_pasted_and_get_the_answers_that_the_page_shows(
    demo: Server, tmp_path: Path, text: str, document: str
) -> None:
    blocks = re.findall(r"^```(sh|json)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    script = f"printf %s '{BOUNDARY}'\n".join(code for language, code in blocks if language == "sh")
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8000", demo.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    outputs = iter(result.stdout.split(BOUNDARY))
    output = ""
    for language, code in blocks:
        if language == "sh":
            output = next(outputs)
        else:
            assert shape(documents(output)) == shape(documents(code))
    assert (tmp_path / document).read_bytes().startswith(b"%PDF")


def test_one_table_lists_every_route(demo: Server) -> None:
    listed: list[str] = []
    for path in re.findall(r"`([/.][^`]*)`", section("docs/api.md", "Routes")):
        # Behind `/students/{id}/statement`, `.pdf` is `/students/{id}/statement.pdf`.
        listed.append(path if path.startswith("/") else re.sub(r"\.\w+$", "", listed[-1]) + path)
    paths = httpx.get(f"{demo.url}/openapi.json").json()["paths"]
    assert sorted(listed) == sorted({re.sub(r"\{\w+\}", "{id}", path) for path in paths} | {"/docs", "/openapi.json"})


@pytest.mark.parametrize(("command", "page"), [("settings", "configuration.md"), ("errors", "errors.md")])
def test_a_table_is_what_the_command_prints(command: str, page: str) -> None:
    arguments = [sys.executable, "-m", "school_billing", command]
    table = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert table in (ROOT / "docs" / page).read_text()


def test_the_table_of_metrics_names_every_metric(demo: Server) -> None:
    shown = set(re.findall(r"^# TYPE (\w+)(?<!_created) ", httpx.get(f"{demo.url}/metrics").text, re.MULTILINE))
    cells = re.findall(r"^\| (`[a-z_]+`.*?) \|", (ROOT / "docs" / "observability.md").read_text(), re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)} == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_every_path_on_a_page_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    for path, anchor in re.findall(r'(?:\]\(|src=")([\w./-]*)(?:#([\w-]+))?[)"]', text):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"
    for path in re.findall(r"`((?:src|sql|tests|docs|migrations|deploy)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path


def anchors(page: Path) -> set[str]:
    """Return what GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

"""Log lines as they leave the process."""

import io
import json
import subprocess
import sys
from collections import Counter

import pytest
import structlog

from school_billing.platform.observability.logging import AccessLine, configure_logging

SCRIPT = """
import sys
import structlog
from school_billing.platform.observability.logging import configure_logging

configure_logging("info", "{form}")
log = structlog.get_logger("school_billing.access")
{statements}
"""


def written(statements: str, form: str = "json") -> list[str]:
    script = SCRIPT.format(form=form, statements=statements)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_a_line_is_one_object_with_level_logger_and_time() -> None:
    (line,) = written('log.info("request", status=200, path=None)')
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "request",
        "status": 200,
        "path": None,
        "level": "info",
        "logger": "school_billing.access",
    }


def test_what_is_below_the_level_is_not_written() -> None:
    assert written('log.debug("a")') == []


def test_the_standard_library_and_our_own_lines_come_in_order() -> None:
    lines = written('import logging\nlog.info("1")\nlogging.getLogger("uvicorn.error").info("2")\nlog.warning("3")')
    assert [json.loads(line)["event"] for line in lines] == ["1", "2", "3"]


@pytest.mark.parametrize("value", ["'half \\ud800'", "object()", "float('nan')", "'two\\nlines'"])
def test_whatever_a_value_is_it_stays_one_line(value: str) -> None:
    (line,) = written(f'log.info("request", value={value})')
    assert json.loads(line)["event"] == "request"


def test_a_terminal_gets_a_readable_line() -> None:
    (line,) = written('log.info("request", status=200)', form="console")
    assert "request" in line
    assert "status" in line
    assert not line.startswith("{")


def test_a_log_that_nobody_takes_stops_no_request() -> None:
    assert written('sys.stderr.close(); log.info("request"); print("alive", file=sys.stdout)') == []


def test_the_level_is_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only at the first call: a server's tests configure it again and again."""
    taken = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", taken)
    monkeypatch.setattr(AccessLine, "is_written_directly", False)
    before = structlog.get_config()
    try:
        configure_logging("warning", "json")
        structlog.get_logger("a").info("quiet")
        structlog.get_logger("a").warning("loud")
    finally:
        structlog.configure(**before)
    buffer = taken.buffer
    assert isinstance(buffer, io.BytesIO)
    assert [json.loads(line)["event"] for line in buffer.getvalue().splitlines()] == ["loud"]


ACCESS = """
from datetime import UTC, datetime
from school_billing.platform.observability.logging import AccessLine
line = AccessLine(
  method="GET", route="/students/{student_id}", path=None, status=200, duration_ms=1.5, user=None, school=None,
  request_id="r", timestamp=datetime.now(UTC),
)
"""


def test_an_access_line_is_the_same_whether_structlog_makes_it_or_not() -> None:
    plain, other = written(
        ACCESS + "line.log()\n"
        "from school_billing.platform.database.context import RequestContext, current_context\n"
        "AccessLine.is_written_directly = False\n"
        "current_context.set(RequestContext(request_id='r'))\n"
        "line.log()"
    )
    first, second = json.loads(plain), json.loads(other)
    assert first.pop("timestamp")[:10] == second.pop("timestamp")[:10]
    assert first == second
    assert plain.index("Z") == plain.index('Z"')  # UTC, as every line has it.


def test_access_lines_are_left_out_above_their_level() -> None:
    script = SCRIPT.format(form="json", statements=ACCESS + "line.log()").replace('"info", "json"', '"warning", "json"')
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_lines_of_a_turn_are_written_in_their_order_and_an_error_at_once() -> None:
    lines = written(
        ACCESS + "import asyncio, os\n"
        "async def main():\n"
        "    line.log()\n"
        "    log.info('2')\n"
        "    log.error('3')\n"
        "    log.info('4')\n"
        "    await asyncio.sleep(0)\n"
        "    log.info('lost')\n"
        "    os._exit(0)\n"
        "asyncio.run(main())"
    )
    assert [json.loads(line)["event"] for line in lines] == ["request", "2", "3", "4"]


def test_an_access_line_that_nobody_takes_stops_no_request() -> None:
    assert written(ACCESS + 'sys.stderr.close(); line.log(); print("alive", file=sys.stdout)') == []


def test_a_line_of_the_standard_library_has_its_traceback_and_no_value_of_a_key() -> None:
    (line,) = written(
        "import logging\n"
        "try:\n"
        "    {}['Lisa Simpson']\n"
        "except KeyError:\n"
        "    logging.getLogger('uvicorn.error').exception('failed %s', 'twice')"
    )
    found = json.loads(line)
    assert (found["event"], found["level"], found["logger"]) == ("failed twice", "error", "uvicorn.error")
    assert [error["exc_type"] for error in found["exception"]] == ["KeyError"]
    assert "Simpson" not in line


def test_a_line_of_the_standard_library_that_cannot_be_formatted_stops_nothing() -> None:
    lines = written("import logging\nlogging.getLogger('a').warning('%d', 'one')\nlog.info('alive')")
    assert json.loads(lines[-1])["event"] == "alive"


def test_threads_and_the_loop_write_every_line_once() -> None:
    lines = written(
        "import asyncio\n"
        "async def main():\n"
        "    say = lambda number: log.info(str(number))\n"
        "    threads = [asyncio.to_thread(lambda: [say(n) for n in range(2000)]) for _ in range(2)]\n"
        "    others = asyncio.gather(*threads)\n"
        "    for number in range(2000):\n"
        "        say(number)\n"
        "        await asyncio.sleep(0)\n"
        "    await others\n"
        "asyncio.run(main())"
    )
    counted = Counter(json.loads(line)["event"] for line in lines)
    assert counted == {str(number): 3 for number in range(2000)}

import subprocess
import sys


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "school_billing", *arguments],
        env={"PATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_that_do_not_serve_do_not_import_the_web_framework() -> None:
    modules = ("serving.command_line", "platform.database.migrations")
    code = f"import sys, {', '.join(f'school_billing.{name}' for name in modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "psycopg" in loaded
    assert not {"litestar", "uvicorn", "prometheus_client", "structlog"} & set(loaded)


def test_help_lists_the_commands() -> None:
    output = run("--help").stdout
    assert all(command in output for command in ("serve", "migrate", "rollback", "distribute", "seed"))


def test_production_without_secrets_ends_with_a_sentence_that_names_one() -> None:
    result = run("migrate", ENVIRONMENT="production")
    assert result.returncode == 1
    assert "JWT_SECRET" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_count_below_one_is_refused() -> None:
    for command in (("rollback", "--count", "-1"), ("rollback", "--count", "0"), ("ledger", "verify", "--limit", "x")):
        result = run(*command)
        assert result.returncode == 2
        assert "Usage" in result.stderr


def test_a_database_that_is_not_there_ends_with_a_sentence() -> None:
    for command in ("migrate", "seed", "serve"):
        result = run(command, DATABASE_URL="postgresql://nobody:secret@127.0.0.1:1/none", DATABASE_WAIT_SECONDS="0")
        assert result.returncode == 1
        assert "cannot be reached" in result.stderr, result.stderr
        assert "Traceback" not in result.stderr
        assert "secret" not in result.stderr

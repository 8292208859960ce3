"""The configuration: environment variables, converted and checked once, at start."""

import importlib.util
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from school_billing.platform.password_rules import USERNAME_PATTERN, password_problem

DEVELOPMENT_JWT_SECRET = "development-only-secret-development-only"  # noqa: S105 - production refuses it.
DEVELOPMENT_ADMIN_PASSWORD = "change_me"  # noqa: S105 - production refuses it.
_SHORTEST_SECRET_BYTES = 32  # RFC 7518 section 3.2: an HS256 key is at least as long as the hash.
_FEWEST_DIFFERENT_CHARACTERS = 8
_POSTGRESQL = ({"postgresql", "postgres"}, "postgresql://user:password@host:port/name")
_URLS = {
    "database_url": _POSTGRESQL,
    "read_database_url": _POSTGRESQL,
    "redis_url": ({"redis", "rediss"}, "redis://:password@host:port/0"),
    "otel_exporter_otlp_endpoint": ({"http", "https"}, "http://collector:4318"),
    "otel_exporter_otlp_traces_endpoint": ({"http", "https"}, "http://collector:4318/v1/traces"),
    "sentry_dsn": ({"http", "https"}, "https://key@sentry.example/1"),
}
"""The schemes of the settings that are URLs, and examples. An error shows no value, because it may hold a password."""

# Browsers send an origin in lower case and leave out the default port (RFC 6454 section 6.2).
_ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_DSN = re.compile(r"https?://[^/@]+@.*/[0-9]+(?:\?|$)")  # A Sentry DSN has a key and a project number.
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
Days = Annotated[int, msgspec.Meta(ge=1, le=366)]
Attempts = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Connections = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class InvalidSettings(Exception):
    """The environment is not a working configuration. The message names the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """The configuration. Each field is read from the variable with the field's name in capitals."""

    environment: Literal["development", "production"] = "development"
    """Production refuses default secrets, closes public reads and hides debug detail."""

    database_url: str = ""
    """The database, as postgresql://user:password@host:port/name. If empty, PostgreSQL runs embedded in DATA_DIR."""
    embedded_database: bool = False
    """Production refuses to start without DATABASE_URL, unless this is true."""
    read_database_url: str = ""
    """A streaming standby, which serves statements while level with the primary. Empty: DATABASE_URL serves them."""
    data_dir: str = ".data"
    """The embedded PostgreSQL keeps its data here. The path is relative to the working directory."""

    host: str = "127.0.0.1"
    """The service listens on this address."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8000
    """The service listens on this TCP port."""
    shutdown_seconds: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 8
    """Requests in flight may run this long after SIGTERM. Set the platform's own kill timeout higher."""
    database_wait_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 30
    """At its start, a command waits this long for the database to accept connections."""

    database_pool_min: Connections = 2
    """All workers together open this many connections at start and keep them. Each worker keeps at least one."""
    database_pool_max: Connections = 10
    """All workers of one `serve` together open at most this many connections, or fewer if the database allows fewer."""
    database_acquire_timeout_ms: Milliseconds = 5_000
    """A request waits this long for a free connection. Then the answer is 503."""
    database_statement_timeout_ms: Milliseconds = 30_000
    """PostgreSQL cancels a statement that runs longer than this. The answer is then 503."""
    database_lock_timeout_ms: Milliseconds = 5_000
    """A statement waits this long for a row that another transaction has locked. The answer is then 503."""
    database_prepared_statements: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100
    """Each connection keeps this many prepared statements. Set 0 if PgBouncer supports none (docs/operations.md)."""
    database_application_name: str = "school-billing"
    """The application name shown in pg_stat_activity."""

    jwt_secret: str = DEVELOPMENT_JWT_SECRET
    """The keys of access tokens (HS256), comma-separated. The first signs, all verify. Each has at least 32 bytes."""
    access_token_seconds: Seconds = 900
    """An access token is valid for this long."""
    session_days: Days = 30
    """Refresh tokens continue a session for this long. Then the user logs in again."""

    login_attempts_per_account: Attempts = 10
    """This many log-ins of one account may fail in a window. After that, the answer is 429."""
    login_attempts_per_address: Attempts = 50
    """This many log-ins from one address may fail in a window, for any accounts. After that, the answer is 429."""
    login_window_seconds: Seconds = 900
    """A failed log-in counts for this long."""

    admin_username: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "admin"
    """The first administrator's username. `.venv/bin/school-billing seed` creates the account."""
    admin_password: str = DEVELOPMENT_ADMIN_PASSWORD
    """The first administrator's password. In production, it must meet the password rules."""
    public_reads: bool | None = None
    """If true, GET needs no token. If unset, it is true in development and false in production."""

    audit_seal_interval_ms: Milliseconds = 1_000
    """The service chains new audit trail entries this often. It does so beside the requests."""
    overdue_interval_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 300
    """The service sums debts and credit for the metrics this often. Each sum reads every invoice. 0 turns it off."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The service logs this level and higher ones."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """auto writes readable text if the output is a terminal, JSON otherwise."""
    log_slow_query_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 500
    """The service logs a query that takes at least this long, by its name and without its values. 0 logs none."""

    otel_exporter_otlp_endpoint: str = ""
    """The OpenTelemetry collector that receives traces, such as http://collector:4318. If empty, no traces are sent."""
    otel_exporter_otlp_traces_endpoint: str = ""
    """The collector's URL with the whole path, in place of OTEL_EXPORTER_OTLP_ENDPOINT."""
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    """The protocol that the collector receives. The service supports no other."""
    otel_traces_exporter: Literal["", "otlp", "none"] = ""
    """The exporter of traces: otlp or none. If empty, it is otlp if there is an endpoint."""
    otel_sdk_disabled: bool = False
    """If true, OpenTelemetry is off. No other setting turns it on again."""
    sentry_dsn: str = ""
    """The service reports unhandled errors to this Sentry project. If empty, it reports none."""

    citus: bool = False
    """DATABASE_URL names the coordinator of a Citus cluster, after `school-billing distribute`."""

    redis_url: str = ""
    """Redis, as redis://:password@host:port/0, keeps statements until data changes. Empty: the worker's memory does."""
    statement_cache_mb: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 32
    """Without Redis, each worker keeps so many megabytes of statements of schools until data changes. 0 keeps none."""
    statement_cache_seconds: Seconds = 60
    """A statement is kept for at most this long."""
    redis_timeout_ms: Milliseconds = 100
    """The service waits this long for Redis. Then it continues without Redis."""

    trusted_proxies: str = ""
    """Comma-separated addresses or networks of reverse proxies. Their X-Forwarded-For and -Proto are trusted."""
    cors_origins: str = ""
    """Pages of these origins may call the API. The list is comma-separated, or * for all. If empty, no page may."""
    internal_token: str = ""
    """/docs, /openapi.json and /metrics need this as a bearer token or a Basic password. If empty, they are open."""
    internal_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """Only this second port serves /docs, /openapi.json and /metrics. If 0, PORT serves them."""
    request_max_body_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=100_000_000)] = 1_000_000
    """If a request body is larger than this, the answer is 413."""

    @property
    def jwt_secrets(self) -> list[str]:
        """The secrets of access tokens, the one that signs first."""
        return listed(self.jwt_secret)

    @property
    def reads_are_public(self) -> bool:
        """Whether reads need no token."""
        return self.environment == "development" if self.public_reads is None else self.public_reads

    @property
    def exports_traces(self) -> bool:
        """Whether traces go to a collector. OpenTelemetry reads the collector's address itself."""
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return False
        endpoint = self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint
        return bool(endpoint or self.otel_traces_exporter)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Convert and check `environment`. An empty variable counts as unset.

        Raises:
            InvalidSettings: A value is wrong, or a secret is too weak for production.
        """
        names = {field.encode_name for field in msgspec.structs.fields(cls)}
        values = {name: value for name, value in environment.items() if name in names and value}
        booleans = {"PUBLIC_READS", "OTEL_SDK_DISABLED", "EMBEDDED_DATABASE"}
        for name in values.keys() & {"LOG_LEVEL", "LOG_FORMAT", "ENVIRONMENT", *booleans}:
            values[name] = values[name].lower()
        try:
            settings = msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$.")
            raise InvalidSettings(f"{path.rstrip('`')}: {message}." if path else f"{message}.") from None
        settings._check()
        settings._check_extras()
        if settings.environment == "production":
            settings._check_secrets()
            if not settings.database_url and not settings.embedded_database:
                raise InvalidSettings(
                    "DATABASE_URL is not set, and production does not start on a new, empty database by itself. "
                    "Set DATABASE_URL, or set EMBEDDED_DATABASE=true to keep the data in DATA_DIR."
                )
        return settings

    def _check(self) -> None:
        for name in ("jwt_secret", "internal_token", "admin_password"):
            if not getattr(self, name).isprintable():
                raise InvalidSettings(f"{name.upper()} has characters that cannot be printed.")
        for name, (schemes, example) in _URLS.items():
            url = getattr(self, name)
            if url and not (_is_url(url, schemes) and (name != "sentry_dsn" or _DSN.match(url))):
                raise InvalidSettings(f"{name.upper()} must look like {example}.")
        if not re.fullmatch(USERNAME_PATTERN, self.admin_username.lower()):
            raise InvalidSettings("ADMIN_USERNAME must be letters, digits and . _ @ + -, a letter or digit first.")
        if self.database_pool_min > self.database_pool_max:
            raise InvalidSettings("DATABASE_POOL_MIN is greater than DATABASE_POOL_MAX.")
        if self.citus and self.read_database_url:
            raise InvalidSettings(
                "READ_DATABASE_URL cannot be used with CITUS: a standby of the coordinator has no rows."
            )
        if not self.jwt_secrets:
            raise InvalidSettings("JWT_SECRET contains no secret.")
        if self.internal_port and self.internal_port == self.port:
            raise InvalidSettings("INTERNAL_PORT is the same as PORT.")
        for proxy in listed(self.trusted_proxies):
            _check_network(proxy)
        for origin in listed(self.cors_origins):
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise InvalidSettings(f"CORS_ORIGINS: {origin} is not an origin such as https://office.example.")

    def _check_extras(self) -> None:
        for is_set, name, module, extra in (
            (self.redis_url, "REDIS_URL", "redis", "redis"),
            (self.sentry_dsn, "SENTRY_DSN", "sentry_sdk", "sentry"),
            (self.exports_traces, "OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER", "opentelemetry", "otel"),
        ):
            if is_set and importlib.util.find_spec(module) is None:
                raise InvalidSettings(f"{name} needs an extra that is not installed: school-billing[{extra}].")

    def _check_secrets(self) -> None:
        if DEVELOPMENT_JWT_SECRET in self.jwt_secrets:
            raise InvalidSettings("JWT_SECRET still has the default of development. Set another one in production.")
        if self.admin_password == DEVELOPMENT_ADMIN_PASSWORD:
            raise InvalidSettings("ADMIN_PASSWORD still has the default of development. Set another one in production.")
        secrets = [("JWT_SECRET", secret) for secret in self.jwt_secrets]
        for name, secret in [*secrets, ("INTERNAL_TOKEN", self.internal_token)]:
            if secret and len(secret.encode()) < _SHORTEST_SECRET_BYTES:
                raise InvalidSettings(f"{name} is shorter than {_SHORTEST_SECRET_BYTES} bytes.")
            if secret and len(set(secret)) < _FEWEST_DIFFERENT_CHARACTERS:
                raise InvalidSettings(f"{name} has fewer than {_FEWEST_DIFFERENT_CHARACTERS} different characters.")
        if self.internal_token in self.jwt_secrets:
            raise InvalidSettings("INTERNAL_TOKEN is the same as JWT_SECRET.")
        if problem := password_problem(self.admin_username, self.admin_password):
            raise InvalidSettings(f"ADMIN_PASSWORD {problem}.")


def settings_table() -> str:
    """Return the Markdown table of docs/configuration.md: every variable with its default and its meaning."""
    # The meanings are the docstrings below the fields, and only the source has them.
    source = Path(__file__).read_text(encoding="utf-8")
    meanings = dict(re.findall(r'^    (\w+): .+\n    """(.+)"""$', source, re.MULTILINE))
    defaults = {"": "empty", "None": "unset", "True": "true", "False": "false"}
    rows = [
        f"| `{field.encode_name}` | {defaults.get(str(field.default), field.default)} | {meanings[field.name]} |"
        for field in msgspec.structs.fields(Settings)
    ]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows])


def listed(text: str) -> list[str]:
    """Return the parts of a comma-separated setting."""
    return [part for piece in text.split(",") if (part := piece.strip())]


def _check_network(proxy: str) -> None:
    try:
        contains_every_address = ip_network(proxy).prefixlen == 0
    except ValueError:
        raise InvalidSettings(f"TRUSTED_PROXIES: {proxy} is not an address or a network such as 10.0.0.0/8.") from None
    if contains_every_address:
        raise InvalidSettings(f"TRUSTED_PROXIES: {proxy} trusts every client, so a client could fake its address.")


def _is_url(url: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname or parts.query) and parts.port != 0 and parts.scheme in schemes
    except ValueError:
        return False

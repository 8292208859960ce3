"""The configuration: environment variables, converted and checked once, at start."""

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

DEVELOPMENT_JWT_SECRET = "development-only-secret-development-only"  # noqa: S105 - production refuses it.
DEVELOPMENT_ADMIN_PASSWORD = "change_me"  # noqa: S105 - production refuses it.
_SHORTEST_SECRET_BYTES = 32  # RFC 7518 section 3.2: an HS256 key is at least as long as the hash.
_SHORTEST_PRODUCTION_PASSWORD = 12

Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
Connections = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class InvalidSettings(Exception):
    """The environment does not make a working configuration; the message names the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """What the environment decides. Each field is read from the variable of its name in capitals."""

    environment: Literal["development", "production"] = "development"
    """Production refuses default secrets, closes public reads and hides debug detail."""

    database_url: str = ""
    """postgresql://user:password@host:port/name. Empty: an embedded PostgreSQL under data_dir."""

    data_dir: str = ".data"
    """Where the embedded PostgreSQL keeps its data; relative to the working directory."""

    host: str = "127.0.0.1"
    """The address to serve on."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8000
    """The TCP port to serve on."""

    database_wait_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 30
    """How long a command waits at its start for the database to take connections."""

    database_pool_min: Connections = 2
    """Connections opened at start and kept."""

    database_pool_max: Connections = 10
    """The most connections one process opens."""

    database_acquire_timeout_ms: Milliseconds = 5_000
    """How long a request waits for a free connection before it is answered 503."""

    database_statement_timeout_ms: Milliseconds = 30_000
    """How long one statement may run before PostgreSQL cancels it and the request is answered 503."""

    database_application_name: str = "school-billing"
    """How the connections are called in pg_stat_activity."""

    jwt_secret: str = DEVELOPMENT_JWT_SECRET
    """The key that signs access tokens (HS256): at least 32 bytes in production."""

    access_token_seconds: Seconds = 3_600
    """How long an access token is valid."""

    admin_username: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] = "admin"
    """The first administrator, made by `school-billing seed`."""

    admin_password: str = DEVELOPMENT_ADMIN_PASSWORD
    """The first administrator's password; at least 12 characters in production."""

    public_reads: bool | None = None
    """Whether GET needs no token. Unset: yes in development, no in production."""

    audit_seal_interval_ms: Milliseconds = 1_000
    """How often new entries of the audit trail are chained, beside the requests."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""

    log_format: Literal["auto", "console", "json"] = "auto"
    """auto: readable on a terminal, JSON otherwise."""

    request_max_body_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=100_000_000)] = 1_000_000
    """A larger request body is answered 413."""

    @property
    def in_production(self) -> bool:
        """Whether this is a production environment."""
        return self.environment == "production"

    @property
    def reads_are_public(self) -> bool:
        """Whether reads need no token."""
        return not self.in_production if self.public_reads is None else self.public_reads

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Convert `environment` (usually os.environ); an empty variable counts as unset.

        Raises:
            InvalidSettings: A value has the wrong shape, or production lacks a secret of its own.
        """
        known = {field.encode_name for field in msgspec.structs.fields(cls)}
        given = {name: value for name, value in environment.items() if name in known and value}
        for name in ("LOG_LEVEL", "LOG_FORMAT", "ENVIRONMENT", "PUBLIC_READS"):
            if name in given:
                given[name] = given[name].lower()
        try:
            settings = msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidSettings(_sentence(error)) from None
        settings._refuse_nonsense()
        if settings.in_production:
            settings._refuse_weak_secrets()
        return settings

    def _refuse_nonsense(self) -> None:
        if self.database_url:
            _check_database_url(self.database_url)
        if self.database_pool_min > self.database_pool_max:
            raise InvalidSettings("DATABASE_POOL_MIN is greater than DATABASE_POOL_MAX.")

    def _refuse_weak_secrets(self) -> None:
        if self.jwt_secret == DEVELOPMENT_JWT_SECRET:
            raise InvalidSettings("Production needs a JWT_SECRET of its own.")
        if len(self.jwt_secret.encode()) < _SHORTEST_SECRET_BYTES:
            raise InvalidSettings(f"JWT_SECRET is shorter than {_SHORTEST_SECRET_BYTES} bytes.")
        if self.admin_password == DEVELOPMENT_ADMIN_PASSWORD:
            raise InvalidSettings("Production needs an ADMIN_PASSWORD of its own.")
        if len(self.admin_password) < _SHORTEST_PRODUCTION_PASSWORD:
            raise InvalidSettings(f"ADMIN_PASSWORD is shorter than {_SHORTEST_PRODUCTION_PASSWORD} characters.")


def _check_database_url(url: str) -> None:
    """Refuse what no driver would take, in words that do not repeat it: it has a password in it."""
    try:
        parts = urlsplit(url)
        reachable = bool(parts.hostname or parts.query) and parts.port != 0
    except ValueError:
        reachable = False
    else:
        reachable = reachable and parts.scheme in {"postgresql", "postgres"}
    if not reachable:
        raise InvalidSettings("DATABASE_URL must look like postgresql://user:password@host:port/name.")


def _sentence(error: msgspec.ValidationError) -> str:
    message, _, path = str(error).partition(" - at `$.")
    return f"{path.rstrip('`')}: {message}." if path else f"{message}."

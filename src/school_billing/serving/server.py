"""Serving the application over HTTP: by this process, or by several that share its ports.

Each worker is `python -m school_billing.serving.server` with an environment of its own: what is divided between the
workers, and what only one of them does, is said there by the variables that people use too.
"""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog
import uvicorn

from school_billing.platform.database.errors import DatabaseError
from school_billing.platform.database.limits import connections_allowed
from school_billing.platform.database.waiting import wait_for_database
from school_billing.platform.observability.logging import configure_logging
from school_billing.platform.settings import InvalidSettings, Settings
from school_billing.serving.workers import Work, keep_working

if TYPE_CHECKING:
    from school_billing.platform.observability.middleware import Observed

FEWEST_CONNECTIONS = 2
"""Of a worker: a download keeps one for as long as its reader likes, and everybody else needs another."""

_CLOSE_TIMEOUT_SECONDS = 15
"""What a stop may take beyond SHUTDOWN_SECONDS: traces, error reports and the pool have some seconds each."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder of our own in it is used, which nobody else can open.

_OWN_METRICS = "school-billing-metrics-"

log = structlog.get_logger("school_billing.serving.server")


def application() -> "Observed":
    """Make the application that the environment describes: a factory for any ASGI server.

    Raises:
        InvalidSettings: The environment is not one to serve in, or names no database.
    """
    settings = Settings.from_environment(os.environ)
    if not settings.database_url:
        raise InvalidSettings("DATABASE_URL is not set, and only `school-billing serve` brings a database.")
    configure_logging(settings.log_level, settings.log_format)
    return _application(settings)


def serve(settings: Settings, workers: int = 1) -> None:
    """Serve on the configured ports until SIGTERM or SIGINT, by so many processes; one is this process itself.

    Raises:
        InvalidSettings: There are too few connections for so many workers.
        WorkerFailed: A worker could not be started.
        SystemExit: The only process could not start.
    """
    configure_logging(settings.log_level, settings.log_format)
    settings = _within_the_databases_limits(settings)
    if settings.environment == "production" and not settings.internal_token and not settings.internal_port:
        log.warning("everybody can read /metrics and /docs; INTERNAL_TOKEN or INTERNAL_PORT closes them")
    if workers == 1:
        _serve_alone(settings)
        return
    with _shared_metrics(settings.prometheus_multiproc_dir) as directory:
        settings = msgspec.structs.replace(settings, prometheus_multiproc_dir=directory)
        works = [
            Work((sys.executable, "-m", "school_billing.serving.server"), os.environ | _environment(one))
            for one in settings_of_workers(settings, workers)
        ]
        asyncio.run(keep_working(works, _bind(settings), settings.shutdown_seconds + _CLOSE_TIMEOUT_SECONDS))


def settings_of_workers(settings: Settings, workers: int) -> list[Settings]:
    """Return the settings of each worker: the pool is divided, and only the first sums up what is overdue.

    Raises:
        InvalidSettings: There are too few connections for so many workers.
    """
    needed = workers * FEWEST_CONNECTIONS
    if settings.database_pool_max < needed:
        raise InvalidSettings(
            f"{workers} workers need {needed} connections, {FEWEST_CONNECTIONS} each: "
            f"DATABASE_POOL_MAX and the database allow {settings.database_pool_max}."
        )
    most = _shares(settings.database_pool_max, workers)
    least = _shares(settings.database_pool_min, workers)
    return [
        msgspec.structs.replace(
            settings,
            database_pool_max=most[number],
            database_pool_min=max(1, least[number]),
            overdue_interval_seconds=0 if number else settings.overdue_interval_seconds,
        )
        for number in range(workers)
    ]


def _shares(total: int, parts: int) -> list[int]:
    each, left = divmod(total, parts)
    return [each + (number < left) for number in range(parts)]


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "DATABASE_URL": settings.database_url,
        "DATABASE_POOL_MAX": str(settings.database_pool_max),
        "DATABASE_POOL_MIN": str(settings.database_pool_min),
        "OVERDUE_INTERVAL_SECONDS": str(settings.overdue_interval_seconds),
        "PROMETHEUS_MULTIPROC_DIR": settings.prometheus_multiproc_dir,
    }


def _within_the_databases_limits(settings: Settings) -> Settings:
    """Make the pool no larger than the database allows: a connection that it refuses is a 503, not a short wait."""
    allowed = connections_allowed(settings.database_url)
    if settings.database_pool_max <= allowed:
        return settings
    log.warning(
        "DATABASE_POOL_MAX is more than the database allows, which is taken",
        database_pool_max=settings.database_pool_max,
        allowed=allowed,
    )
    return msgspec.structs.replace(
        settings, database_pool_max=allowed, database_pool_min=min(settings.database_pool_min, allowed)
    )


@contextmanager
def _shared_metrics(directory: str) -> Iterator[str]:
    """Give the directory in which the workers add up their metrics: the configured one, or one that goes at the end.

    In memory where that is to be had, also because containers have it whose file systems cannot be written to.
    """
    if directory:
        yield directory
        return
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    try:
        own = tempfile.TemporaryDirectory(prefix=_OWN_METRICS, dir=where, ignore_cleanup_errors=True)
    except OSError as error:
        raise InvalidSettings(
            f"There is no place for the workers' metrics ({error}): set PROMETHEUS_MULTIPROC_DIR."
        ) from error
    with own:
        yield own.name


def _application(settings: Settings) -> "Observed":
    if not settings.prometheus_multiproc_dir:
        # Empty counts as unset, but not to prometheus_client, which looks at it when it is imported.
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from school_billing.app import create_app  # noqa: PLC0415 - as said; and those who only watch workers need none of it.

    return create_app(settings)


def _config(settings: Settings, app: "Observed") -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,  # The application writes one line a request itself, with the request id.
        log_config=None,
        server_header=False,
        proxy_headers=False,  # The application reads them, from TRUSTED_PROXIES alone.
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def _bind(settings: Settings) -> list[socket.socket]:
    ports = [settings.port, settings.internal_port] if settings.internal_port else [settings.port]
    return [uvicorn.Config("", host=settings.host, port=port, log_config=None).bind_socket() for port in ports]


class _Server(uvicorn.Server):
    """Sends a byte on `ready` when it serves."""

    def __init__(self, config: uvicorn.Config, ready: socket.socket | None = None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready.send(b"\1")


def _serve_alone(settings: Settings) -> None:
    config = _config(settings, _application(settings))
    _run(_Server(config), _bind(settings))


def _run(server: _Server, sockets: list[socket.socket]) -> None:
    try:
        server.run(sockets=sockets)
    except (KeyboardInterrupt, SystemExit):
        # uvicorn raises the signal again when it has stopped as asked, which is no failure. That it did not start is.
        if not server.started:
            raise
    if not server.started:
        sys.exit(3)


def _work(descriptors: list[str]) -> None:
    """Be a worker; `school_billing.serving.workers.Work` says what the descriptors are."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # Until it serves; then uvicorn has it.
    parent = os.getppid()
    ready, *sockets = (socket.socket(fileno=int(number)) for number in descriptors)
    try:
        settings = Settings.from_environment(os.environ)
        # One that takes a dead one's place may find the database on its way up.
        wait_for_database(settings.database_url, settings.database_wait_seconds)
        app = application()
    except (InvalidSettings, DatabaseError) as error:
        sys.exit(f"school-billing: {error}")
    try:
        _run(_Server(_config(settings, app), ready), sockets)
    finally:
        directory = Path(settings.prometheus_multiproc_dir)
        if os.getppid() != parent and directory.name.startswith(_OWN_METRICS):
            # Who made it was killed, and nobody else would free the memory.
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _work(sys.argv[1:])

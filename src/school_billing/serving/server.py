"""Serving the application over HTTP: in this process, or in several worker processes that share its ports."""

import gc
import os
import shutil
import socket
import sys
import tempfile
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from school_billing.platform.database.connecting import connections_allowed, is_distributed, wait_for_database
from school_billing.platform.database.errors import DatabaseUnavailable
from school_billing.platform.observability.logging import configure_logging
from school_billing.platform.settings import InvalidSettings, Settings
from school_billing.serving.protocol import LimitedProtocol
from school_billing.serving.workers import Ready, supervise

if TYPE_CHECKING:
    from school_billing.platform.observability.middleware import Observed

FEWEST_CONNECTIONS = 2
"""The connections that a worker needs: a slow download may keep one, and all other requests need another."""

_CLOSE_TIMEOUT_SECONDS = 15
"""The time that a stop may take beyond SHUTDOWN_SECONDS: traces, error reports and the pool take seconds each."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - the server uses only a folder of its own there, closed to other users.

log = structlog.get_logger("school_billing.serving.server")


def application() -> "Observed":
    """Make the application from the environment. Any ASGI server can use this factory."""
    settings = Settings.from_environment(os.environ)
    if not settings.database_url:
        raise InvalidSettings("DATABASE_URL is not set, and only `school-billing serve` brings a database.")
    configure_logging(settings.log_level, settings.log_format)
    return _application(settings)


def serve(settings: Settings, workers: int = 1) -> None:
    """Serve on the configured ports until SIGTERM or SIGINT. A single worker runs in this process."""
    configure_logging(settings.log_level, settings.log_format)
    if not settings.citus and is_distributed(settings.database_url):
        raise InvalidSettings("The tables are spread over a cluster. Set CITUS=true.")
    settings = _within_the_databases_limits(settings)
    if settings.environment == "production" and not settings.internal_token and not settings.internal_port:
        log.warning("/metrics and /docs are open to all clients; set INTERNAL_TOKEN or INTERNAL_PORT")
    if settings.environment == "development" and not _is_loopback(settings.host):
        log.warning(
            "other machines can reach this service, reads need no token, and the admin's password is known; "
            "set ENVIRONMENT=production"
        )
    if workers == 1:
        _run(settings, bind(settings))
        return
    shares = settings_of_workers(settings, workers)
    with _metrics_directory() as directory:
        sockets = bind(settings)
        works = [partial(_work, share, directory, sockets) for share in shares]
        supervise(works, sockets, settings.shutdown_seconds + _CLOSE_TIMEOUT_SECONDS, _forget_gauges)


def settings_of_workers(settings: Settings, workers: int) -> list[Settings]:
    """Divide the pool's connections among the workers. Only the first worker sums overdue amounts."""
    needed = workers * FEWEST_CONNECTIONS
    if settings.database_pool_max < needed:
        raise InvalidSettings(
            f"{workers} workers need {needed} connections, {FEWEST_CONNECTIONS} each: "
            f"DATABASE_POOL_MAX and the database allow {settings.database_pool_max}."
        )

    def share(total: int, number: int) -> int:
        return total // workers + (number < total % workers)

    return [
        msgspec.structs.replace(
            settings,
            database_pool_max=share(settings.database_pool_max, number),
            database_pool_min=max(1, share(settings.database_pool_min, number)),
            overdue_interval_seconds=0 if number else settings.overdue_interval_seconds,
        )
        for number in range(workers)
    ]


def _within_the_databases_limits(settings: Settings) -> Settings:
    """Make the pool no larger than the database allows: a refused connection is a 503, a busy pool only a wait."""
    allowed = connections_allowed(settings.database_url)
    if settings.database_pool_max <= allowed:
        return settings
    log.warning(
        "DATABASE_POOL_MAX is more than the database allows; the pool is smaller",
        database_pool_max=settings.database_pool_max,
        allowed=allowed,
    )
    return msgspec.structs.replace(
        settings, database_pool_max=allowed, database_pool_min=min(settings.database_pool_min, allowed)
    )


def _metrics_directory() -> tempfile.TemporaryDirectory[str]:
    """Make the directory where the workers add up their metrics, and name it in the environment.

    It is in memory if possible, because a container may have a read-only file system and still /dev/shm.
    """
    where = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    try:
        made = tempfile.TemporaryDirectory(prefix="school-billing-metrics-", dir=where, ignore_cleanup_errors=True)
    except OSError as error:
        raise InvalidSettings(f"There is no place for the workers' metrics: {error}. Set TMPDIR.") from error
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = made.name
    return made


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _forget_gauges(worker: int) -> None:
    """Drop the pool and the requests of a worker that died. Its counts stay."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - the variable is set by now.

    mark_process_dead(worker)  # type: ignore[no-untyped-call] # the library has no types here


def refuse_taken_ports(settings: Settings) -> None:
    """Raise InvalidSettings if a port cannot be bound. uvicorn would end the process without naming the port."""
    for name in ("port", "internal_port"):
        port: int = getattr(settings, name)
        with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as error:
                raise InvalidSettings(
                    f"Port {port} on {settings.host} cannot be used: {error.strerror}. "
                    f"Stop the program that uses it, or set {name.upper()} to another port."
                ) from None


def bind(settings: Settings) -> list[socket.socket]:
    """Bind the configured ports."""
    refuse_taken_ports(settings)
    ports = [settings.port, settings.internal_port] if settings.internal_port else [settings.port]
    sockets = [uvicorn.Config("", host=settings.host, port=port, log_config=None).bind_socket() for port in ports]
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        for bound in sockets:
            # Otherwise the kernel takes megabytes at once, and a reader of 30 KB/s seems to stall for 41 seconds.
            # With this, it is 10.
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 65_536)
    return sockets


def _work(settings: Settings, metrics_directory: str, sockets: list[socket.socket], ready: Ready) -> None:
    """Run one worker."""
    supervisor = os.getppid()
    try:
        # A worker that replaces another may find the database restarting.
        wait_for_database(settings.database_url, settings.database_wait_seconds)
        _run(settings, sockets, ready)
    except DatabaseUnavailable as error:
        sys.exit(f"school-billing: {error}")
    finally:
        if os.getppid() != supervisor:
            # The supervisor was killed, so this worker frees the memory of the temporary directory.
            shutil.rmtree(metrics_directory, ignore_errors=True)


def _run(settings: Settings, sockets: list[socket.socket], ready: Ready | None = None) -> None:
    config = uvicorn.Config(
        _application(settings),
        loop="uvloop",
        http=LimitedProtocol,
        access_log=False,  # The application writes one line a request itself, with the request id.
        log_config=None,
        server_header=False,
        proxy_headers=False,  # The application reads them, from TRUSTED_PROXIES alone.
        timeout_graceful_shutdown=settings.shutdown_seconds,
        callback_notify=ready,  # uvicorn calls it right after its start, and every 30 seconds from then on.
    )
    # A thread that formats a statement gives way to the event loop after this time. By default it is 5 ms, and a short
    # request would wait that long several times.
    sys.setswitchinterval(0.0005)
    server = uvicorn.Server(config)
    # The application and its modules stay. Without this, each full collection of garbage looks through them, and holds
    # the event loop for 60 ms.
    gc.freeze()
    try:
        server.run(sockets=sockets)
    except (KeyboardInterrupt, SystemExit):
        # After a graceful stop, uvicorn raises the signal again. That is a failure only if the server never started.
        if not server.started:
            raise
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _application(settings: Settings) -> "Observed":
    from school_billing.app import create_app  # noqa: PLC0415 - the supervisor of workers needs none of it.

    return create_app(settings)

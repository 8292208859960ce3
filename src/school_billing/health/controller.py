"""/health, /health/db and /metrics."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example, Tag
from prometheus_client import CONTENT_TYPE_LATEST

from school_billing.auth.guards import HEALTH, INTERNAL
from school_billing.health.contracts import Health
from school_billing.health.repository import HealthChecks
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.rooms import Room
from school_billing.platform.web.errors import DatabaseNotMigrated, MethodNotAllowed, Unavailable


class HealthController(Controller):
    """The routes of load balancers and of Prometheus."""

    path = "/"
    tags = ("health",)

    @get("/health", access=HEALTH, summary="Check the process", errors=(MethodNotAllowed,))
    async def check_process(self) -> Health:
        """Answer 200 as long as the process runs. This does not use the database."""
        return Health(status="ok")

    @get(
        "/health/db",
        access=HEALTH,
        summary="Check the database",
        errors=(MethodNotAllowed, Unavailable, DatabaseNotMigrated),
    )
    async def check_database(self, health_checks: NamedDependency[HealthChecks]) -> Health:
        """Answer 200 if the database answers and has every migration of this release, else 503."""
        await health_checks.check()
        return Health(status="ok")

    @get(
        "/metrics",
        access=INTERNAL,
        summary="Get the metrics",
        media_type="text/plain",
        errors=(MethodNotAllowed,),
        responses={
            200: ResponseSpec(
                str, media_type="text/plain", generate_examples=False, examples=[Example(value="# HELP ...")]
            )
        },
    )
    async def get_metrics(self, metrics: NamedDependency[Metrics]) -> Response[bytes]:
        """Return the metrics in the text format of Prometheus."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


def room(database: Database) -> Room:
    """Return what health checks bring to the application."""
    tag = Tag("health", "Whether the service and its database work.")
    return Room(tag, HealthController, health_checks=HealthChecks(database))

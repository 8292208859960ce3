"""A room is added by adding a room."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.openapi.spec import Tag

from school_billing.app import create_app
from school_billing.auth.guards import OPEN
from school_billing.health.repository import HealthChecks
from school_billing.platform.rooms import Room
from school_billing.platform.settings import Settings
from school_billing.platform.web.errors import Conflict
from tests.api import client_of, problem
from tests.conftest import running


class Silent(Conflict):
    """The bell is silent."""

    code = "silent"


class BellController(Controller):
    path = "/bells"
    tags = ("bells",)

    @get(access=OPEN)
    async def ring(self, bells: NamedDependency[HealthChecks]) -> str:
        await bells.check()
        return "ding"

    @get("/silent", access=OPEN)
    async def stay_silent(self) -> str:
        raise Silent


async def test_a_new_room_has_its_routes_its_repository_its_errors_and_its_tag(settings: Settings) -> None:
    service = create_app(
        settings, lambda database: Room(Tag("bells", "They ring."), BellController, bells=HealthChecks(database))
    )
    async with running(service), client_of(service) as client:
        assert (await client.get("/bells")).text == "ding"
        assert problem(await client.get("/bells/silent"), 409, "silent")["detail"] == "The bell is silent."
        assert {"name": "bells", "description": "They ring."} in (await client.get("/openapi.json")).json()["tags"]

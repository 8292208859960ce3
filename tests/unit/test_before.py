"""What stands before every handler: nothing may go round it."""

from typing import Any, cast

from litestar import Request, Response
from litestar.exceptions import HTTPException, ImproperlyConfiguredException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from school_billing.app import create_app
from school_billing.platform.settings import Settings
from school_billing.platform.web.errors import BUG, Problem, exception_handlers


def routes() -> list[HTTPRoute]:
    litestar = create_app(Settings()).litestar
    found = [route for route in litestar.routes if isinstance(route, HTTPRoute)]
    assert len(found) == len(litestar.routes) > 40
    return found


def test_every_handler_has_the_guard_before_it() -> None:
    (steps,) = {
        handler.resolve_before_request()
        for route in routes()
        for handler, _ in route.route_handler_map.values()
        if isinstance(handler, HTTPRouteHandler)
    }
    assert steps is not None


def test_no_answer_is_taken_from_a_cache_that_nobody_guards() -> None:
    assert not [route.path for route in routes() for handler, _ in route.route_handler_map.values() if handler.cache]


def test_dependencies_are_provided_without_a_task_for_each() -> None:
    batches = [
        batch
        for route in routes()
        for _, arguments in route.route_handler_map.values()
        for batch in arguments.dependency_batches
    ]
    assert len(batches) > 100
    assert {len(batch) for batch in batches} == {1}


async def test_an_answer_that_the_framework_cannot_render_is_logged_as_a_bug() -> None:
    def fail(request: Request[Any, Any, Any]) -> Response[Problem]:
        return exception_handlers({})[HTTPException](request, ImproperlyConfiguredException("rows: of a person"))

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    request = Request[Any, Any, Any](cast("Any", scope))
    assert fail(request).content.code == "internal_error"
    assert isinstance(scope[BUG], ImproperlyConfiguredException)

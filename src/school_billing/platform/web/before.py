"""What happens to every request before its handler, as cheaply as Litestar lets it happen."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from litestar import Litestar, Request, Response
from litestar.routes import HTTPRoute

Step: TypeAlias = Callable[[Request[Any, Any, Any]], Awaitable[Response[None] | None]]


def before_request(*steps: Step) -> Step:
    """Make Litestar's before_request of `steps`: the first that returns an answer, or raises, is the last.

    The guard is a step, too. Litestar would give each of its own guards a copy of the handler with every request, and
    a middleware would bring a second handler of exceptions. A handler must not have a before_request or a cache of
    its own, which would go before these; a test looks at all of them.
    """

    async def take_steps(request: Request[Any, Any, Any]) -> Response[None] | None:
        for step in steps:
            answer = await step(request)
            if answer is not None:
                return answer
        return None

    return take_steps


def provide_in_turn(app: Litestar) -> None:
    """Have the dependencies of each handler provided one after the other.

    Litestar starts a task for each, so that they can wait at the same time. None of ours waits for anything, and the
    tasks cost more than all that they do.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, arguments in route.route_handler_map.values():
                arguments.dependency_batches = [{one} for batch in arguments.dependency_batches for one in batch]

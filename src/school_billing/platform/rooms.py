"""A room: the routes, errors and dependencies of one noun."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from litestar import Controller
from litestar.di import Provide
from litestar.openapi.spec import Tag

from school_billing.platform.web.errors import ConstraintErrors


class Room:
    """The part of the application about one noun.

    Args:
        tag: The tag of the routes in OpenAPI.
        controllers: The routes.
        constraint_errors: The error for each constraint of the noun's tables.
        running: Makes a context manager that is open while the application runs.
        provides: The values of handler arguments, by name.
    """

    def __init__(
        self,
        tag: Tag,
        *controllers: type[Controller],
        constraint_errors: ConstraintErrors | None = None,
        running: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
        **provides: object,
    ) -> None:
        self.tag = tag
        self.controllers: Sequence[type[Controller]] = controllers
        self.constraint_errors: ConstraintErrors = constraint_errors or {}
        self.running = running
        self.dependencies = {name: provide(value) for name, value in provides.items()}


def provide(value: object) -> Provide:
    """Provide `value` itself. The function has no argument, because Litestar would validate each argument."""
    return Provide(lambda: value, sync_to_thread=False)

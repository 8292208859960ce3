"""Rooms: the parts that an application is made of."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from litestar import Controller
from litestar.di import Provide
from litestar.openapi.spec import Tag

from school_billing.platform.web.errors import ConstraintErrors


class Room:
    """What one noun brings to the application.

    Args:
        tag: Its tag in OpenAPI.
        controllers: Its routes.
        constraint_errors: The error that each constraint of its table means.
        running: What is open while the application runs.
        provides: What handlers are given, by the name of their argument.
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
    """Provide `value` itself; Litestar would validate the arguments of a function that has any."""
    return Provide(lambda: value, sync_to_thread=False)

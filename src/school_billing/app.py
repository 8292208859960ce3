"""The composition root: what the application is made of, room by room."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import ValidationException

import school_billing.adjustments.controller as adjustments
import school_billing.api_keys.controller as api_keys
import school_billing.audit.controller as audit
import school_billing.auth.controller as auth
import school_billing.awards.controller as awards
import school_billing.billing_runs.controller as billing_runs
import school_billing.closings.controller as closings
import school_billing.fee_plans.controller as fee_plans
import school_billing.health.controller as health
import school_billing.invoices.controller as invoices
import school_billing.ledger.jobs as ledger
import school_billing.payers.controller as payers
import school_billing.payments.controller as payments
import school_billing.receipts.controller as receipts
import school_billing.schools.controller as schools
import school_billing.statements.room as statements
import school_billing.students.controller as students
import school_billing.users.controller as users
from school_billing import DESCRIPTION, TITLE
from school_billing.auth.authenticator import Authenticator
from school_billing.auth.guards import INTERNAL, DocumentAccess, Guard, provide_caller
from school_billing.auth.tokens import Tokens
from school_billing.examples import EXAMPLES
from school_billing.platform import idempotency
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.instrumentation import Instrumentation
from school_billing.platform.observability.middleware import Observed
from school_billing.platform.rooms import Room, provide
from school_billing.platform.settings import Settings, listed
from school_billing.platform.web import requests
from school_billing.platform.web.conditional import provide_if_match
from school_billing.platform.web.docs import docs_routes, openapi_config
from school_billing.platform.web.errors import ConstraintErrors, error_classes, exception_handlers
from school_billing.platform.web.json_body import ContractRequest
from school_billing.platform.web.openapi import ContractSchemas, DocumentErrors
from school_billing.platform.web.pages import provide_page
from school_billing.platform.web.responses import cors_config, security_headers
from school_billing.platform.web.types import Scalar, decode_scalar, is_scalar
from school_billing.schools.routing import database_of
from school_billing.statements.standby import standby_of


def create_app(settings: Settings, *more: Callable[[Database], Room]) -> Observed:
    """Make the ASGI application, of its own rooms and `more`; it connects to settings.database_url when it starts."""
    release = version("school-billing")
    instrumentation = Instrumentation(settings, release, error_classes())
    tokens = Tokens(settings.jwt_secrets, settings.access_token_seconds)
    primary = database_of(settings)
    standby = standby_of(settings)
    rooms = [
        auth.room(primary, settings, tokens, instrumentation.metrics),
        *(one.room(primary) for one in (users, api_keys, schools, students, payers, fee_plans, awards)),
        *(one.room(primary) for one in (invoices, adjustments, payments, receipts, billing_runs)),
        statements.room(primary, standby, settings, instrumentation.metrics),
        *(room(primary) for room in (closings.room, audit.room, health.room, *more)),
    ]
    constraint_errors: ConstraintErrors = dict(idempotency.CONSTRAINT_ERRORS) | {
        name: each.constraint_errors[name] for each in rooms for name in each.constraint_errors
    }

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for database in filter(None, (primary, standby)):
                await stack.enter_async_context(database)
            for room in rooms:
                await stack.enter_async_context(room.running())
            await stack.enter_async_context(instrumentation.watching(primary, standby))
            await stack.enter_async_context(ledger.running_jobs(primary, settings, instrumentation.metrics))
            yield

    litestar = Litestar(
        route_handlers=[*(one for room in rooms for one in room.controllers), *docs_routes(opt={"access": INTERNAL})],
        dependencies={name: given for room in rooms for name, given in room.dependencies.items()}
        | {
            "caller": Provide(provide_caller, sync_to_thread=False),
            "page": Provide(provide_page),
            "if_match": Provide(provide_if_match),
            "metrics": provide(instrumentation.metrics),
        },
        before_request=requests.before_request(
            Guard(settings, tokens, Authenticator(primary)),
            requests.refuse_unknown_parameters,
            idempotency.read_idempotency_key,
            requests.answer_options,
        ),
        type_encoders={Scalar: str},
        type_decoders=[(is_scalar, decode_scalar)],
        request_class=ContractRequest,
        request_max_body_size=settings.request_max_body_bytes,
        exception_handlers={
            **exception_handlers(constraint_errors),
            ValidationException: requests.answer_invalid_parameters,
            idempotency.KeyUsed: idempotency.replay,
        },
        lifespan=[running],
        openapi_config=openapi_config(TITLE, release, DESCRIPTION, [room.tag for room in rooms], {"access": INTERNAL}),
        plugins=[ContractSchemas(EXAMPLES), DocumentAccess(settings), DocumentErrors()],
        cors_config=cors_config(listed(settings.cors_origins)),
        logging_config=None,
        state=State({"database": primary, "constraint_errors": constraint_errors}),
    )
    requests.provide_in_turn(litestar)
    return Observed(
        litestar,
        instrumentation,
        headers=security_headers(in_production=settings.environment == "production"),
        trusted_proxies=listed(settings.trusted_proxies),
    )

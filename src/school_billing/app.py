"""The composition root: on one screen, what the service is made of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.metadata import version

from litestar import Litestar
from litestar.di import Provide
from litestar.openapi.spec import Tag

from school_billing.api_keys import errors as api_keys
from school_billing.api_keys.controller import ApiKeyController
from school_billing.api_keys.repository import ApiKeys
from school_billing.audit import errors as audit
from school_billing.audit.controller import AuditController
from school_billing.audit.repository import AuditLog
from school_billing.auth import errors as auth
from school_billing.auth.admission import Admission
from school_billing.auth.controller import AuthController
from school_billing.auth.guards import INTERNAL, DocumentAccess, Guard, provide_caller
from school_billing.auth.login_service import LoginService
from school_billing.auth.repository import LoginLimits, Sessions
from school_billing.auth.tokens import Tokens
from school_billing.health.controller import HealthController
from school_billing.health.repository import HealthChecks
from school_billing.invoices import errors as invoices
from school_billing.invoices.controller import InvoiceController
from school_billing.invoices.repository import Invoices
from school_billing.ledger.background import run_every
from school_billing.ledger.repository import Ledger
from school_billing.payments import errors as payments
from school_billing.payments.controller import PaymentController
from school_billing.payments.repository import Payments
from school_billing.platform.database.errors import IdempotencyKeyUsed
from school_billing.platform.database.pool import Database, connect
from school_billing.platform.observability.instrumentation import Instrumentation
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.observability.middleware import Observed
from school_billing.platform.settings import Settings
from school_billing.platform.web.before import before_request, provide_in_turn
from school_billing.platform.web.bodies import ContractRequest
from school_billing.platform.web.conditional import provide_if_match
from school_billing.platform.web.docs import docs_routes, openapi_config
from school_billing.platform.web.idempotency import MEANINGS as IDEMPOTENCY
from school_billing.platform.web.idempotency import on_used_key
from school_billing.platform.web.openapi import DocumentErrors
from school_billing.platform.web.options import answer_options
from school_billing.platform.web.pages import provide_page
from school_billing.platform.web.parameters import refuse_strange_parameters
from school_billing.platform.web.problems import Meanings, exception_handlers, problem_codes
from school_billing.platform.web.scalars import Scalar, ScalarSchemas, decode_scalar, is_scalar
from school_billing.platform.web.security import cors_config, security_headers
from school_billing.schools import errors as schools
from school_billing.schools.controller import SchoolController
from school_billing.schools.repository import Schools
from school_billing.statements.cache import StatementCache
from school_billing.statements.controller import StatementController
from school_billing.statements.exports import ExportController
from school_billing.statements.printed.controller import PrintedStatementController
from school_billing.statements.printed.pdf_renderer import PdfRenderer
from school_billing.statements.printed.repository import PrintedStatements
from school_billing.statements.repository import Statements
from school_billing.statements.source import STANDBY_ACQUIRE_MS, StatementSource
from school_billing.students import errors as students
from school_billing.students.controller import StudentController
from school_billing.students.repository import Students
from school_billing.users import errors as users
from school_billing.users.controller import UserController
from school_billing.users.repository import Users

TITLE = "School Billing API"
DESCRIPTION = """
The money side of schools: schools, their students, the invoices raised on students, and the payments and
refunds recorded on invoices; and the statements that say who owes what and why.

Amounts are exact decimals with two places, sent as strings (`"600.00"`), in the currency of the school. Instants
are in UTC; days are days of the school's time zone. Lists are plain arrays, newest last, with the next page in the
`Link` header. Every error is a problem document (RFC 9457) with a `code` to rely on.
"""
TAGS = [
    Tag("auth", "Logging in and out."),
    Tag("users", "Those who may log in."),
    Tag("api-keys", "Keys for machines."),
    Tag("schools", "The tenants, each with its currency and its time zone."),
    Tag("students", "Students of a school."),
    Tag("invoices", "Invoices raised on students."),
    Tag("payments", "Movements of money on invoices: payments and refunds."),
    Tag("statements", "Who owes what, and how it came to that."),
    Tag("audit", "Who changed what, when."),
    Tag("health", "Whether the service is well."),
]


MEANINGS: Meanings = {
    name: meaning
    for room in (schools, users, api_keys, audit, auth, students, invoices, payments)
    for name, meaning in room.MEANINGS.items()
} | dict(IDEMPOTENCY)
"""What the refusal of each constraint of the schema means to the caller; each room says it of its own."""

_REPOSITORIES = (Users, ApiKeys, Schools, Students, Invoices, Payments, AuditLog, HealthChecks)


def create_app(settings: Settings) -> Observed:
    """Make the ASGI application; it connects to settings.database_url when it starts."""
    release = version("school-billing")
    instrumentation = Instrumentation(settings, release, problem_codes())
    metrics = instrumentation.metrics
    pdf_renderer = PdfRenderer()
    tokens = Tokens(settings.jwt_secrets, settings.access_token_seconds)
    guard = Guard(settings, tokens)
    limits = LoginLimits(
        settings.login_attempts_per_account, settings.login_attempts_per_address, settings.login_window_seconds
    )

    shelf: dict[type, object] = {}
    """What handlers are given, by its kind; it is made when the application starts."""

    @asynccontextmanager
    async def database(app: Litestar) -> AsyncIterator[None]:
        async with (
            _connected(
                settings, settings.database_url, settings.database_pool_min, settings.database_acquire_timeout_ms
            ) as primary,
            _standby(settings) as standby,
        ):
            app.state.database = primary
            guard.admission = Admission(primary)
            cache = _statement_cache(settings, metrics)
            source = StatementSource(primary, standby, lambda *labels: metrics.statement_reads.labels(*labels).inc())
            app.state.statement_source = source
            sessions = Sessions(primary, limits, settings.session_days * 86_400)
            statements = Statements(source, cache)
            for made in (
                LoginService(sessions, tokens, metrics),
                statements,
                PrintedStatements(primary, statements),
                *(kind(primary) for kind in _REPOSITORIES),
            ):
                shelf[type(made)] = made
            background = _background(Ledger(primary), settings, metrics)
            async with instrumentation.watching(primary, standby):
                yield
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            if cache is not None:
                await cache.close()

    litestar = Litestar(
        route_handlers=[
            AuthController,
            UserController,
            ApiKeyController,
            SchoolController,
            StudentController,
            InvoiceController,
            PaymentController,
            StatementController,
            ExportController,
            PrintedStatementController,
            AuditController,
            HealthController,
            *docs_routes(opt={"access": INTERNAL}),
        ],
        dependencies={
            "caller": _provided(provide_caller),
            "page": Provide(provide_page),
            "login_service": _provided(lambda: shelf[LoginService]),
            "if_match": Provide(provide_if_match),
            "metrics": _provided(lambda: metrics),
            "users": _provided(lambda: shelf[Users]),
            "api_keys": _provided(lambda: shelf[ApiKeys]),
            "schools": _provided(lambda: shelf[Schools]),
            "students": _provided(lambda: shelf[Students]),
            "invoices": _provided(lambda: shelf[Invoices]),
            "payments": _provided(lambda: shelf[Payments]),
            "statements": _provided(lambda: shelf[Statements]),
            "printed_statements": _provided(lambda: shelf[PrintedStatements]),
            "pdf_renderer": _provided(lambda: pdf_renderer),
            "audit_log": _provided(lambda: shelf[AuditLog]),
            "health_checks": _provided(lambda: shelf[HealthChecks]),
        },
        before_request=before_request(guard, refuse_strange_parameters, answer_options),
        type_encoders={Scalar: str},
        type_decoders=[(is_scalar, decode_scalar)],
        request_class=ContractRequest,
        request_max_body_size=settings.request_max_body_bytes,
        exception_handlers={**exception_handlers(MEANINGS), IdempotencyKeyUsed: on_used_key},
        lifespan=[database],
        openapi_config=openapi_config(TITLE, release, DESCRIPTION, TAGS, opt={"access": INTERNAL}),
        plugins=[ScalarSchemas(), DocumentErrors(), DocumentAccess(settings)],
        cors_config=cors_config(settings.origins),
        logging_config=None,
    )
    provide_in_turn(litestar)
    return Observed(
        litestar,
        instrumentation,
        headers=security_headers(in_production=settings.in_production),
        trusted_proxies=settings.proxies,
    )


def _connected(
    settings: Settings, url: str, pool_min: int, acquire_timeout_ms: int
) -> AbstractAsyncContextManager[Database]:
    return connect(
        url,
        pool_min=pool_min,
        pool_max=settings.database_pool_max,
        acquire_timeout_ms=acquire_timeout_ms,
        statement_timeout_ms=settings.database_statement_timeout_ms,
        prepared_statements=settings.database_prepared_statements,
        application_name=settings.database_application_name,
    )


def _standby(settings: Settings) -> AbstractAsyncContextManager[Database | None]:
    if not settings.read_database_url:
        return nullcontext()
    # Nothing is opened before it is needed: no start waits for the standby.
    return _connected(settings, settings.read_database_url, 0, STANDBY_ACQUIRE_MS)


def _background(ledger: Ledger, settings: Settings, metrics: Metrics) -> list[asyncio.Task[None]]:
    async def count_overdue() -> None:
        metrics.set_overdue({row.currency: row.overdue for row in await ledger.overdue()})

    work = [run_every(ledger.seal, settings.audit_seal_interval_ms / 1000, "sealing the audit trail")]
    if settings.overdue_interval_seconds:
        work.append(run_every(count_overdue, settings.overdue_interval_seconds, "summing what is overdue"))
    return [asyncio.create_task(task) for task in work]


def _statement_cache(settings: Settings, metrics: Metrics) -> StatementCache | None:
    if not settings.redis_url:
        return None
    return StatementCache(
        settings.redis_url,
        seconds=settings.statement_cache_seconds,
        timeout_ms=settings.redis_timeout_ms,
        count=lambda outcome: metrics.statement_cache.labels(outcome).inc(),
    )


def _provided(make: Callable[[], object]) -> Provide:
    """Provide what `make` returns; a function with parameters, app.state among them, would have them validated."""
    return Provide(make, sync_to_thread=False)

"""The room of logging in and out."""

from litestar.openapi.spec import Tag

from school_billing.auth.controller import AuthController
from school_billing.auth.errors import MEANINGS
from school_billing.auth.login_service import LoginService
from school_billing.auth.repository import LoginLimits, Sessions
from school_billing.auth.tokens import Tokens
from school_billing.platform.database.pool import Database
from school_billing.platform.observability.metrics import Metrics
from school_billing.platform.rooms import Room
from school_billing.platform.settings import Settings


def room(database: Database, settings: Settings, tokens: Tokens, metrics: Metrics) -> Room:
    """Return what logging in and out brings to the application."""
    limits = LoginLimits(
        settings.login_attempts_per_account, settings.login_attempts_per_address, settings.login_window_seconds
    )
    sessions = Sessions(database, limits, settings.session_days * 86_400)
    return Room(
        Tag("auth", "Logging in and out."),
        AuthController,
        meanings=MEANINGS,
        login_service=LoginService(sessions, tokens, metrics),
    )

"""The first administrator and the demo schools. Seeding again changes nothing."""

import msgspec

from school_billing.auth.passwords import hash_password
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.users.contracts import User


class Seeded(msgspec.Struct, frozen=True):
    """How many rows of a demo school were added; zeros if the school already exists."""

    students: int
    invoices: int
    payments: int


FIRST_ADMINISTRATOR = Query("users/seed", User)
SPRINGFIELD = Query("demo/springfield", Seeded)
RIVERSIDE = Query("demo/riverside", Seeded)
FAMILIES = Query("demo/families", Seeded)
DEMO = {
    "Springfield Elementary": SPRINGFIELD,
    "Riverside Academy": RIVERSIDE,
    "the families of Riverside Academy": FAMILIES,
}


async def seed(settings: Settings, *, demo: bool) -> list[str]:
    """Add the first administrator and the demo schools if they are missing, and return a line about each."""
    lines = []
    async with Database(settings) as database:
        name = settings.admin_username
        added = await database.one_or_none(
            FIRST_ADMINISTRATOR, username=name.lower(), password_hash=hash_password(settings.admin_password)
        )
        lines.append(f"added the administrator {name}" if added else f"the administrator {name} already exists")
        if demo:
            for name, query in DEMO.items():
                seeded = await database.one(query)
                counts = (
                    f"{seeded.students} students, {seeded.invoices} invoices, {seeded.payments} payments and refunds"
                )
                lines.append(f"added {name}: {counts}" if seeded.students else f"already there: {name}")
    return lines

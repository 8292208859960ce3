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
            for school, query in {"Springfield Elementary": SPRINGFIELD, "Riverside Academy": RIVERSIDE}.items():
                seeded = await database.one(query)
                if not seeded.students:
                    lines.append(f"{school} already exists")
                else:
                    lines.append(
                        f"added {school}: {seeded.students} students, {seeded.invoices} invoices, "
                        f"{seeded.payments} payments and refunds"
                    )
    return lines

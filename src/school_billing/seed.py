"""The first administrator and the demo schools; seeding again changes nothing."""

import msgspec

from school_billing.auth.passwords import hash_password
from school_billing.platform.database.pool import Database
from school_billing.platform.database.sql import Query
from school_billing.platform.settings import Settings
from school_billing.users.contracts import User


class Seeded(msgspec.Struct, frozen=True):
    """How many rows a demo school came with; none where it was there already."""

    students: int
    invoices: int
    payments: int


FIRST_ADMINISTRATOR = Query("users/seed", User, username=str, password_hash=str)
SPRINGFIELD = Query("demo/springfield", Seeded)
RIVERSIDE = Query("demo/riverside", Seeded)


async def seed(settings: Settings, *, demo: bool) -> list[str]:
    """Make what is missing.

    Returns:
        A line for a person about each thing.
    """
    lines = []
    async with Database(
        settings.database_url, pool_max=1, prepared_statements=settings.database_prepared_statements
    ) as database:
        name = settings.admin_username
        added = await database.one_or_none(
            FIRST_ADMINISTRATOR, username=name.lower(), password_hash=hash_password(settings.admin_password)
        )
        lines.append(f"added the administrator {name}" if added else f"the administrator {name} is there already")
        if demo:
            for school, query in {
                "Springfield Elementary": SPRINGFIELD,
                "Riverside Academy": RIVERSIDE,
            }.items():
                seeded = await database.one(query)
                if not seeded.students:
                    lines.append(f"{school} is there already")
                else:
                    lines.append(
                        f"added {school}: {seeded.students} students, {seeded.invoices} invoices, "
                        f"{seeded.payments} payments and refunds"
                    )
    return lines

"""The commands `school-billing ledger`."""

import sys

import click

from school_billing.ledger.repository import Ledger
from school_billing.platform.commands import OnDatabase
from school_billing.platform.database.pool import Database


@click.group()
def group() -> None:
    """Prove that the books are right."""


@group.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many differences to list."
)
@click.pass_obj
def verify(on_database: OnDatabase, limit: int) -> None:
    """Compare every total and every audit chain; exit 1 if one differs."""

    async def print_differences(database: Database) -> None:
        differences = await Ledger(database).differences(limit)
        summary = await Ledger(database).summary()
        for difference in differences:
            print(difference)
        print(f"{summary}: {'THEY DIFFER, see above' if differences else 'all agree'}")
        if differences:
            sys.exit(1)

    on_database(print_differences)


@group.command()
@click.pass_obj
def seal(on_database: OnDatabase) -> None:
    """Chain the newest entries of the audit trail."""

    async def print_sealed(database: Database) -> None:
        print(f"sealed {await Ledger(database).seal()} audit entries")

    on_database(print_sealed)

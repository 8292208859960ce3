"""The name of the constraint that refused a change, from one PostgreSQL and from the coordinator of a cluster."""

import asyncpg
import pytest

from school_billing.app import create_app
from school_billing.platform.database.pool import constraint_of
from school_billing.platform.settings import Settings

CONSTRAINT_ERRORS = create_app(Settings(database_url="postgresql://nowhere")).litestar.state.constraint_errors


def test_one_postgresql_says_the_name_in_a_field_of_its_own() -> None:
    error = asyncpg.CheckViolationError('new row violates check constraint "of_somebody_else_102008"')
    error.constraint_name = "schools_currency_is_iso_4217"
    assert constraint_of(error) == "schools_currency_is_iso_4217"


@pytest.mark.parametrize(
    ("message", "constraint"),
    [
        (
            'new row for relation "invoices_102244" violates check constraint "invoices_paid_at_most_total_102244"',
            "invoices_paid_at_most_total",
        ),
        (
            'duplicate key value violates unique constraint "students_school_id_external_id_key_102041"',
            "students_school_id_external_id_key",
        ),
        (
            'update or delete on table "students_102041" violates foreign key constraint '
            '"invoices_student_id_fkey_102244" on table "invoices_102244"',
            "invoices_student_id_fkey",
        ),
        # Of a check, the coordinator may leave out the shard's number.
        (
            'new row for relation "invoices_102244" violates check constraint "invoices_paid_at_most_total"',
            "invoices_paid_at_most_total",
        ),
        # The number at the end of its own name stays.
        (
            'new row for relation "schools_102009" violates check constraint "schools_currency_is_iso_4217_102009"',
            "schools_currency_is_iso_4217",
        ),
    ],
)
def test_a_cluster_says_it_in_the_message_with_the_number_of_the_shard(message: str, constraint: str) -> None:
    assert constraint_of(asyncpg.IntegrityConstraintViolationError(message)) == constraint
    assert constraint in CONSTRAINT_ERRORS


def test_a_cluster_says_what_a_trigger_refused_in_the_hint() -> None:
    error = asyncpg.IntegrityConstraintViolationError("payment 1 is dated 2020-01-01, before 2020-01-02")
    error.hint = "payments_follow_receipt_and_invoice"
    assert constraint_of(error) == "payments_follow_receipt_and_invoice"
    error.hint = "Perhaps you meant another column."
    assert constraint_of(error) == ""


def test_what_no_constraint_refused_has_no_name() -> None:
    error = asyncpg.IntegrityConstraintViolationError("the totals of an invoice do not equal the sum of its payments")
    assert constraint_of(error) == ""

"""The room of students."""

from litestar.openapi.spec import Tag

from school_billing.platform.database.pool import Database
from school_billing.platform.rooms import Room
from school_billing.students.controller import StudentController
from school_billing.students.errors import MEANINGS
from school_billing.students.repository import Students


def room(database: Database) -> Room:
    """Return what students bring to the application."""
    return Room(
        Tag("students", "Students of a school."), StudentController, meanings=MEANINGS, students=Students(database)
    )

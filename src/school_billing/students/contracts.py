"""The bodies of /students."""

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.platform.web.types import Instant, Text


class FullName(Text, examples=["Lisa Simpson"]):
    """The name of a student."""


class ExternalId(Text, examples=["S-1024"]):
    """The school's own number of the student, unique in the school in any case: S-1 and s-1 are one number."""


class GroupName(Text, most=100, examples=["4B"]):
    """The class or grade of a student. A billing run bills one group, or all."""


LeftOn = Annotated[
    date,
    Meta(description="The day on which the student left. From it on, no billing run bills the student."),
]


class Student(Struct, frozen=True):
    """A student of a school."""

    id: UUID
    school_id: UUID
    full_name: FullName
    external_id: ExternalId | None
    group_name: GroupName | None
    left_on: LeftOn | None
    created_at: Instant
    updated_at: Instant


class StudentIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new student."""

    school_id: UUID
    full_name: FullName
    external_id: ExternalId | None = None
    group_name: GroupName | None = None
    left_on: LeftOn | None = None


class StudentPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a student. A field that is absent stays as it is; null clears it."""

    full_name: FullName | UnsetType = UNSET
    external_id: ExternalId | UnsetType | None = UNSET
    group_name: GroupName | UnsetType | None = UNSET
    left_on: LeftOn | UnsetType | None = UNSET


class StudentFilters(Struct, frozen=True):
    """The students that a list shows. A filter that is None does not apply."""

    q: str | None
    name: str | None
    external_id: str | None
    group_name: str | None

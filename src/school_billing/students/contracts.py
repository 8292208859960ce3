"""The bodies of /students."""

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from school_billing.platform.web.types import Instant, Name

FullName = Annotated[Name, Meta(examples=["Lisa Simpson"])]
ExternalId = Annotated[
    Name, Meta(description="The school's own number of the student, unique in the school.", examples=["S-1024"])
]


class Student(Struct, frozen=True):
    """A student of a school."""

    id: UUID
    school_id: UUID
    full_name: FullName
    external_id: ExternalId | None
    created_at: Instant
    updated_at: Instant


class StudentIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new student."""

    school_id: UUID
    full_name: FullName
    external_id: ExternalId | None = None


class StudentPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of a student. A field that is absent stays as it is; null clears it."""

    full_name: FullName | UnsetType = UNSET
    external_id: ExternalId | UnsetType | None = UNSET

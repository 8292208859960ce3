"""PATCH: a field that is absent stays, null clears it, a value sets it."""

from typing import TypeVar

from msgspec import UNSET, UnsetType

Value = TypeVar("Value")


def set_or_none(value: Value | UnsetType) -> Value | None:
    """Return the value to be set, or None to leave the column as it is: for columns that cannot be null."""
    return None if value is UNSET else value


def is_given(value: object) -> bool:
    """Tell whether the body has the field, be it null: for columns that can be cleared."""
    return value is not UNSET

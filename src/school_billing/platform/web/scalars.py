"""Scalars: values with rules of their own, read from JSON by their `parse` and shown in OpenAPI by their schema."""

from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Self

import msgspec
from litestar.openapi.spec import Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from litestar.utils.predicates import is_class_and_subclass


class Scalar:
    """The base of a value that msgspec cannot check by itself."""

    __slots__ = ()

    openapi: ClassVar[Schema]
    """How OpenAPI describes the value."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Make the value of what the JSON decoder gives.

        Raises:
            ValueError: It breaks the value's rule; the message says which.
        """
        raise NotImplementedError


def is_scalar(kind: Any) -> bool:
    """Tell whether `kind` is a Scalar."""
    return is_class_and_subclass(kind, Scalar)


def decode_scalar(kind: type[Any], value: object) -> Any:
    """Be msgspec's dec_hook: read a value of the Scalar `kind`.

    Raises:
        ValueError: The value breaks its rule.
        TypeError: `kind` is no Scalar.
    """
    if issubclass(kind, Scalar):
        return kind.parse(value)
    raise TypeError(f"{kind} cannot be read from JSON")


@cache
def exact_decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    """Return the strict JSON decoder of `kind`, in which numbers keep their digits."""
    # A scalar is decoded untyped first; float_hook hands it a number's digits, so that no float is ever made.
    return msgspec.json.Decoder(kind, dec_hook=decode_scalar, float_hook=Decimal)


class ScalarSchemas(OpenAPISchemaPlugin):
    """Shows a Scalar in OpenAPI by the schema that it carries."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Tell whether `value` is a Scalar."""
        return is_scalar(value)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: object) -> Schema:
        """Return the Scalar's own schema."""
        schema: Schema = field_definition.annotation.openapi
        return schema

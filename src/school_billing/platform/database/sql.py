"""The loader of sql/: one statement a file, with named parameters, numbered here for PostgreSQL."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, get_type_hints

from school_billing.platform.database.context import RequestContext, context
from school_billing.platform.paths import resource_folder

Row = TypeVar("Row")

# What may hold a colon that names no parameter (a comment, a string, a quoted name, a cast) is matched first
# and left as it is; what remains is a parameter.
_TOKEN = re.compile(
    r"""
      --[^\n]*            # a comment to the end of the line
    | /\*.*?\*/           # a comment in between
    | '(?:[^']|'')*'      # a string
    | "(?:[^"]|"")*"      # a quoted name
    | ::                  # a cast
    | :(?P<parameter>[a-z_][a-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL,
)

# What the request itself fills in, by the name of the parameter: :request_actor is RequestContext.actor.
_CONTEXT = {f"request_{name.removeprefix('request_')}": name for name in RequestContext.__struct_fields__}
_WRITES = re.compile(r"\b(insert\s+into|update|delete\s+from)\s")


class Query(Generic[Row]):
    """A file of sql/, the struct that its rows fill, and the Python types of its parameters.

    `Query("invoices/get", Invoice, tenant=UUID | None, invoice_id=UUID)` reads sql/invoices/get.sql. That the
    file's parameters are the named ones is checked here, at import; that PostgreSQL agrees with all the types,
    and that the columns are the struct's fields in their order, is checked by a test for every query there is.

    Attributes:
        name: The file's path without its ending, such as "invoices/get".
        text: What PostgreSQL is sent. It opens with the name, so that pg_stat_activity and the logs show it.
        parameters: The parameters' names in the order of their numbers.
        takes: Their Python types by name.
        from_context: Those parameters that the request at work fills; see database/context.py.
        writes: Whether it changes anything, so that it cannot simply be sent again.
        returns: The struct of a row.
    """

    registered: ClassVar["dict[str, AnyQuery]"] = {}
    """Every query of the process by its name."""

    def __init__(self, name: str, returns: type[Row], /, **takes: Any) -> None:
        source = (resource_folder("sql") / f"{name}.sql").read_text(encoding="utf-8")
        body, self.parameters = number_parameters(source)
        self.from_context = tuple(parameter for parameter in self.parameters if parameter in _CONTEXT)
        if set(self.parameters) - _CONTEXT.keys() != set(takes):
            raise ValueError(f"sql/{name}.sql takes {self.parameters}, the query says {list(takes)}")
        self.name = name
        self.text = f"-- {name}\n{body}"
        hints = get_type_hints(RequestContext)
        self.takes = takes | {parameter: hints[_CONTEXT[parameter]] for parameter in self.from_context}
        self.writes = _WRITES.search(_TOKEN.sub("", source)) is not None
        self.returns = returns
        Query.registered[name] = self

    def __repr__(self) -> str:
        return f"Query({self.name!r})"

    @property
    def deletes(self) -> bool:
        """Whether the query's verb is delete, which decides what a foreign key's refusal means."""
        return self.name.rpartition("/")[2] == "delete"

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Put `values` in the order of the parameters' numbers.

        Raises:
            TypeError: A parameter has no value, or a value no parameter.
        """
        if len(values) + len(self.from_context) != len(self.parameters):
            raise TypeError(f"{self.name} takes {self.parameters}, not {list(values)}")
        known = (
            {**values, **{name: getattr(context(), _CONTEXT[name]) for name in self.from_context}}
            if self.from_context
            else values
        )
        try:
            return [known[parameter] for parameter in self.parameters]
        except KeyError as missing:
            raise TypeError(f"{self.name} needs {missing}") from None


AnyQuery: TypeAlias = Query[Any]


def number_parameters(source: str) -> tuple[str, tuple[str, ...]]:
    """Turn :name into $1, $2 and so on; the same name gets the same number everywhere.

    Returns:
        The numbered text, and the names in the order of their numbers.
    """
    numbers: dict[str, int] = {}

    def numbered(token: re.Match[str]) -> str:
        name = token["parameter"]
        if name is None:
            return token[0]
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _TOKEN.sub(numbered, source), tuple(numbers)

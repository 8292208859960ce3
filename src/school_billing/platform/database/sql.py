"""The loader of sql/: each file is one statement with named parameters, which become numbers for PostgreSQL."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from school_billing.platform.database.context import RequestContext, context

Row = TypeVar("Row")

_PACKAGE = Path(__file__).resolve().parents[2]

# Comments, strings, quoted names and casts can contain a colon that begins no parameter. They are matched first and
# stay as they are. Every other colon before a name begins a parameter.
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

# The fields of RequestContext by the names of their parameters: :request_actor is RequestContext.actor.
_CONTEXT = {f"request_{name.removeprefix('request_')}": name for name in RequestContext.__struct_fields__}
_WRITES = re.compile(r"\b(insert\s+into|update|delete\s+from)\s")


class Query(Generic[Row]):
    """A file of sql/, and the struct that its rows fill, or the type of its only column.

    `Query("invoices/get", Invoice)` reads sql/invoices/get.sql. A test compares the columns with the fields of the
    struct. Each use gives the parameters by name, and a wrong or missing name is a TypeError.

    Attributes:
        text: The statement. It begins with the query's name, which pg_stat_activity and the logs then show.
        count_text: The statement that counts the rows of `text`.
        parameters: The names of the parameters in the order of their numbers.
        from_context: The parameters that get their values from RequestContext.
        writes: Whether the statement changes rows, so that it must not simply be sent again.
        again_on: The constraints that refuse a statement that is right, if another one committed while it waited for a
            lock. Nothing of a refused statement remains, so it runs again, and then sees what the other one did.
    """

    registered: ClassVar["dict[str, AnyQuery]"] = {}
    """Every query of the process by its name."""

    def __init__(self, name: str, returns: type[Row], again_on: Collection[str] = ()) -> None:
        source = (resource_folder("sql") / f"{name}.sql").read_text(encoding="utf-8")
        body, self.parameters = number_parameters(source)
        self.from_context = tuple(parameter for parameter in self.parameters if parameter in _CONTEXT)
        self.name = name
        self.text = f"-- {name}\n{body}"
        self.count_text = f"-- {name} (count)\nselect count(*) from (\n{body}\n) as rows"
        self.writes = _WRITES.search(_TOKEN.sub("", source)) is not None
        self.returns = returns
        self.again_on = again_on
        Query.registered[name] = self

    def __repr__(self) -> str:
        return f"Query({self.name!r})"

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Put `values` into the order of the parameters' numbers."""
        if len(values) + len(self.from_context) != len(self.parameters):
            raise TypeError(f"{self.name} takes {self.parameters}, not {list(values)}")
        if self.from_context:
            values = {**values, **{name: getattr(context(), _CONTEXT[name]) for name in self.from_context}}
        try:
            return [values[parameter] for parameter in self.parameters]
        except KeyError as missing:
            raise TypeError(f"{self.name} needs {missing}") from None


AnyQuery: TypeAlias = Query[Any]


def number_parameters(source: str) -> tuple[str, tuple[str, ...]]:
    """Turn :name into $1, $2 and so on. Return the numbered text, and the names in the order of their numbers."""
    numbers: dict[str, int] = {}

    def numbered(token: re.Match[str]) -> str:
        name = token["parameter"]
        if name is None:
            return token[0]
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _TOKEN.sub(numbered, source), tuple(numbers)


def resource_folder(name: str) -> Path:
    """Return the folder "sql" or "migrations": at the top of a checkout, or inside an installed wheel."""
    for folder in (_PACKAGE / name, _PACKAGE.parents[1] / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"The installation is incomplete: no {name}/ folder beside the package.")

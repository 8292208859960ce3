"""What a migration must not do to a service that runs meanwhile; docs/operations.md says why and what to do instead."""

import re

_NAME = r"(?:if not exists |if exists |only |concurrently )*(?:public\.)?\"?(\w+)\"?"
# now() is the same for all rows, so PostgreSQL need not write them; any other function has to be thought about.
_STABLE_DEFAULTS = {"now"}

_ADD_COLUMN = r"\badd (?:column )?(?:if not exists )?(?!constraint\b|check\b|foreign\b|unique\b|primary\b)\w+ "
_ADD = r"\badd constraint \w+ "

_REFUSED = {
    r"\balter (?:column )?\w+ (?:set data )?type\b": "changes a column's type, which writes the whole table anew",
    r"\balter (?:column )?\w+ set not null\b": "reads the whole table under a lock: add a check, not valid, instead",
    _ADD_COLUMN + r"[^,]*\bgenerated always as\b[^,]*\bstored\b": "writes the whole table anew",
    _ADD_COLUMN + r"[^,]*\breferences\b": "locks two tables at once: add the foreign key apart",
    _ADD_COLUMN + r"(?![^,]*\bdefault\b)[^,]*\bnot null\b": "has no default for the rows that are there",
    _ADD + r"(?:check|foreign key)\b(?!.*\bnot valid\b)": "reads the whole table under a lock: add it not valid",
    _ADD + r"(?:unique|primary key)\b(?!.*\busing index\b)": "builds an index under a lock: use one built before",
    _ADD + r"exclude\b": "builds an index under a lock",
    r"\badd (?:check|foreign key|unique|primary key)\b": "adds a constraint without a name",
}
_CONTRACTS = r"\b(?:rename|drop column|drop table|drop view)\b"


def faults(text: str) -> list[str]:
    """Return what is wrong with a migration, nothing where all is well."""
    head = re.match(r"(?:\s*--[^\n]*\n?)*", text)
    comments = head[0] if head else ""
    in_transaction = not re.search(r"^-- transactional: false$", comments, re.MULTILINE)
    is_contract = re.search(r"^-- contract: \S.{10,}", comments, re.MULTILINE)
    statements = _statements(text)
    created = {found[1] for statement in statements for found in re.finditer(rf"\bcreate table {_NAME}", statement)}
    found: list[str] = []
    locks = False
    for statement in statements:
        table = _table_of(statement)
        if table is None or table in created:
            continue
        locks = True
        found += [f"{table}: {why}" for pattern, why in _REFUSED.items() if re.search(pattern, statement)]
        found += _of_defaults(table, statement)
        if re.search(_CONTRACTS, statement) and not is_contract:
            found.append(f"{table}: takes away what a running version may use, without saying `-- contract: since ...`")
        if re.match(r"(?:update|delete)\b", statement) and in_transaction:
            found.append(f"{table}: changes rows in one transaction: do it in parts, transactional: false")
        if re.match(r"lock\b|cluster\b|vacuum full\b|reindex (?!.*concurrently)", statement):
            found.append(f"{table}: keeps everybody out for as long as it takes")
    for statement in statements:
        found += _of_index(statement, created, statements, in_transaction=in_transaction)
    if in_transaction:
        text_of_all = ";".join(statements)
        if "not valid" in text_of_all and "validate constraint" in text_of_all:
            found.append("validates in the transaction that adds: the lock is held while the table is read")
        if locks and not re.match(r"set local lock_timeout = ", statements[0]):
            found.append("does not begin with `set local lock_timeout`: who waits for a lock makes everybody else wait")
    return found


def _statements(text: str) -> list[str]:
    code = re.sub(r"--[^\n]*", "", text)
    # The body of a function runs later; that of a DO block runs now, and is looked into.
    code = re.sub(r"\bas\s+\$(\w*)\$.*?\$\1\$", "as body", code, flags=re.DOTALL)
    code = re.sub(r"\$\w*\$", ";", code)
    code = re.sub(r"'(?:[^']|'')*'", "''", code)
    words = [" ".join(part.lower().split()) for part in code.split(";")]
    # What follows a keyword of PL/pgSQL is a statement like the others.
    return [statement for part in words for statement in re.split(r"\b(?:begin|then|else|loop) ", part) if statement]


def _table_of(statement: str) -> str | None:
    """Return the table that the statement takes a lock on, where it is one that there was before."""
    for pattern in (
        rf"alter table {_NAME}",
        rf"create (?:unique )?index .*?\bon {_NAME}",
        rf"create (?:or replace )?(?:constraint )?trigger .*?\bon {_NAME}",
        rf"drop (?:table|index|view) {_NAME}",
        rf"update {_NAME} set",
        rf"delete from {_NAME}",
        rf"(?:lock table|lock|cluster|vacuum full|reindex table) {_NAME}",
    ):
        if found := re.match(pattern, statement):
            return found[1]
    return None


def _of_defaults(table: str, statement: str) -> list[str]:
    called = re.findall(_ADD_COLUMN + r"[^,]*\bdefault (\w+)\(", statement)
    return [
        f"{table}: the default {name}() may differ for each row, and then the whole table is written anew"
        for name in called
        if name not in _STABLE_DEFAULTS
    ]


def _of_index(statement: str, created: set[str], statements: list[str], *, in_transaction: bool) -> list[str]:
    index = re.match(r"create (?:unique )?index (concurrently )?(?:if not exists )?(\w+) on (?:only )?(\w+)", statement)
    if not index or index[3] in created:
        return []
    if not index[1]:
        return [f"{index[2]}: keeps writes out while it is built: create it concurrently"]
    if in_transaction:
        return [f"{index[2]}: concurrently needs `-- transactional: false` at the top"]
    if f"drop index concurrently if exists {index[2]}" not in statements:
        return [f"{index[2]}: one that failed half-way stays, invalid: drop it first, concurrently, if it exists"]
    return []

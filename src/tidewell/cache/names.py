"""Names in the cache: the source's own, as they are, unless PostgreSQL cannot hold them.

PostgreSQL keeps 63 bytes of a name. A longer one is cut at a character and ends in a hash of the
whole name, so that it is always the same and two long names never become one (contract §5).
"""

import hashlib
from collections.abc import Iterable

from tidewell.cache.plan import Place

LONGEST_BYTES = 63
_HASH_LETTERS = 8
# PostgreSQL's system columns, which no table can define (PostgreSQL documentation, 5.6).
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_SYSTEM_SCHEMAS = ("pg_", "information_schema", "tidewell")


def fitted(name: str) -> str:
    """The name itself if PostgreSQL can hold it, else its beginning and a hash of the whole."""
    clean = name.replace("\0", "�")
    if clean == name and 0 < len(name.encode()) <= LONGEST_BYTES:
        return name
    return _hashed(clean, name)


def place(
    connection_name: str,
    source_schema: str,
    several_schemas: bool,
    source_table: str,
    *,
    cache_schema: str | None = None,
    cache_table: str | None = None,
) -> Place:
    """Where a source's table lands: the schema has the connection's name, with the source's schema
    where its driver has several; the table has its own. Both can be given instead."""
    schema = cache_schema or (
        f"{connection_name}_{source_schema}" if several_schemas else connection_name
    )
    if schema.lower().startswith(_SYSTEM_SCHEMAS):
        schema = _hashed(schema, schema)
    return Place(fitted(schema), fitted(cache_table or source_table))


def column_names(names: Iterable[str]) -> dict[str, str]:
    """The cached name of each source column; all different."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for position, name in enumerate(names):
        cached = fitted(name)
        if cached in _SYSTEM_COLUMNS or cached in taken:
            cached = _hashed(name, f"{name}\0{position if cached in taken else ''}")
        taken.add(cached)
        found[name] = cached
    return found


def _hashed(name: str, whole: str) -> str:
    mark = "_" + hashlib.sha256(whole.encode()).hexdigest()[:_HASH_LETTERS]
    room = LONGEST_BYTES - len(mark)
    return name.encode()[:room].decode(errors="ignore") + mark

"""Near names for messages about a name that does not exist."""

import difflib
from collections.abc import Iterable


def near_names(name: str, names: Iterable[str]) -> str:
    """`; near names: a, b`, or nothing where none is near; also near without regard to case."""
    by_folded = {one.casefold(): one for one in names}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)
    return f"; near names: {', '.join(by_folded[one] for one in found)}" if found else ""

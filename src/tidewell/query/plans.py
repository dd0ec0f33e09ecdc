"""Statements that were made ready to run, which a query's process keeps for the next time.

Reading a statement, finding its columns and writing it for its engine takes longer than many a
query runs. A plan is used again only by the same account with the same connections, as they are
(`world_of`), and after each name in it was looked up anew and means the very same table with the
very same columns. Parameters are bound to it as they are to any other.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from tidewell.query.binding import Output, Use
from tidewell.query.messages import QueryTask
from tidewell.query.naming import Named
from tidewell.query.pushdown import Pushable

_MOST_PLANS = 500
_MOST_BYTES = 32 << 20
"""What they may take together, as `_bytes_of` estimates."""
_OF_A_PLAN, _OF_A_COLUMN, _OF_A_CONDITION = 4_000, 250, 2_000
"""Bytes, measured with tables of 10 to 1,000 columns."""
_LONGEST = 20_000
"""Characters of a statement whose plan is kept."""


@dataclass(frozen=True)
class Plan:
    """A statement that is ready to run, without its tree, which is large."""

    text: str
    """As its engine takes it, with `$1`, `$2` … for the parameters."""
    order: tuple[str, ...]
    """The names of those parameters."""
    uses: tuple[Use, ...]
    outputs: tuple[Output, ...]
    pushable: Mapping[str, Pushable] = field(default_factory=dict)
    """What each use can be read with; empty where the whole statement runs in the cache."""
    explain: bool = False
    joins: bool = False
    """Whether it matters in which order its tables are joined."""

    @property
    def cached(self) -> bool:
        """Whether all its tables are cached: it then runs in the cache as a whole."""
        return bool(self.uses) and all(use.named.copy for use in self.uses)

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """What is bound to the text."""
        return [parameters[name] for name in self.order]

    def over(self, found: Sequence[Named]) -> "Plan | None":
        """The plan over what its names mean now; None where one of them means something else."""
        if any(use.named != named for use, named in zip(self.uses, found, strict=True)):
            return None
        # A copy may have been refreshed since.
        uses = [replace(use, named=named) for use, named in zip(self.uses, found, strict=True)]
        return replace(self, uses=tuple(uses))


Key = tuple[bytes, str, tuple[tuple[str, type], ...]]


def key_of(world: bytes, text: str, parameters: Mapping[str, Any]) -> Key:
    """By what a plan is kept: parameters take part with their types, never with their values."""
    return world, text, tuple(sorted((name, type(one)) for name, one in parameters.items()))


def world_of(task: QueryTask) -> bytes:
    """A digest of the account and all that names in its statements may lead to, secrets included.

    Copies are not part of it: a plan knows which it reads.
    """
    world = (
        *(task.account, task.connections, task.cache, task.default_catalog, task.default_schema),
        *(task.file_roots, task.egress, task.manifests),
    )
    return hashlib.blake2b(orjson.dumps(world), digest_size=32).digest()


def _bytes_of(key: Key, plan: Plan) -> int:
    """About what a plan takes: most of it are the columns of wide tables."""
    columns = sum(len(use.named.columns) for use in plan.uses) + len(plan.outputs)
    conditions = sum(len(one.conditions) for one in plan.pushable.values())
    texts = 4 * (len(key[1]) + len(plan.text))
    return _OF_A_PLAN + _OF_A_COLUMN * columns + _OF_A_CONDITION * conditions + texts


class Plans:
    """The plans that were used last. `keeps`: whether any is kept."""

    def __init__(self, most: int = _MOST_PLANS, most_bytes: int = _MOST_BYTES) -> None:
        self.keeps = False
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, Plan] = OrderedDict()

    def get(self, key: Key) -> Plan | None:
        """The plan that is kept for a statement."""
        plan = self._kept.get(key)
        if plan is not None:
            self._kept.move_to_end(key)
        return plan

    def put(self, key: Key, plan: Plan) -> None:
        """Keep a plan, and let go of those that were not used for longest where it is too much."""
        if not self.keeps or len(key[1]) > _LONGEST:
            return
        if key in self._kept:
            self._bytes -= _bytes_of(key, self._kept.pop(key))
        self._kept[key] = plan
        self._bytes += _bytes_of(key, plan)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= _bytes_of(*self._kept.popitem(last=False))

    def kept(self) -> list[Plan]:
        """All of them, the one that was used last at the end."""
        return list(self._kept.values())

    def close(self) -> None:
        """Let go of them."""
        self._kept.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)


PLANS = Plans()
"""Those of this process."""

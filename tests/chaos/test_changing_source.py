"""The source changes while it is read: equal times, late commits, updates between pages."""

import random
import re
from dataclasses import dataclass, field

import pytest

from tests.chaos.counts import COUNTS, chance
from tests.conftest import CacheDatabase
from tests.odd_service import Answer, Request, odd_service
from tests.things_job import ThingsJob

PAGE = 7
RUNS = 5
_MORE = re.compile(r"at ge ([0-9]+)")


@dataclass
class World:
    """A source whose rows change between any two pages.

    Times come from a clock that often stands still, and a row may become visible later than its
    time says (its transaction committed late): a later increment may miss that one, and the next
    full refresh has to find it.
    """

    chance: random.Random
    rows: dict[int, tuple[int, str]] = field(default_factory=dict)
    late: list[tuple[int, int, str]] = field(default_factory=list)
    clock: int = 1
    quiet: bool = False

    def change(self) -> None:
        """Some of what transactions do."""
        for _ in range(self.chance.randrange(4)):
            self.clock += self.chance.choice([0, 0, 1])
            key = self.chance.randrange(40)
            text = f"{self.chance.random()}"
            match self.chance.choice(["write", "write", "delete", "late", "commit"]):
                case "write":
                    self.rows[key] = (self.clock, text)
                case "delete":
                    self.rows.pop(key, None)
                case "late":
                    self.late.append((key, self.clock, text))
                case _:
                    self.commit()

    def commit(self) -> None:
        """The oldest open transaction commits."""
        if self.late:
            key, time, text = self.late.pop(0)
            self.rows[key] = (time, text)

    def page(self, request: Request) -> Answer:
        """A page after the last one's key, of the rows as they are now."""
        if not self.quiet:
            self.change()
        after = int(request.query.get("$skiptoken", "-1"))
        least = _MORE.search(request.query.get("$filter", ""))
        found = [
            {"ID": key, "at": time, "name": text}
            for key, (time, text) in sorted(self.rows.items())
            if key > after and (least is None or time >= int(least[1]))
        ]
        if len(found) <= PAGE:
            return Answer({"value": found})
        rest = {**request.query, "$skiptoken": str(found[PAGE - 1]["ID"])}
        following = "Things?" + "&".join(f"{name}={value}" for name, value in rest.items())
        return Answer({"value": found[:PAGE], "@odata.nextLink": following.replace(" ", "%20")})


@pytest.mark.parametrize("seed", range(COUNTS.changing))
@pytest.mark.parametrize("mode", ["full", "incremental"])
def test_nothing_is_doubled_ever_and_nothing_is_lost_after_a_full_refresh(
    cache_database: CacheDatabase, seed: int, mode: str
) -> None:
    plan = chance(f"changing source, {mode}", seed)
    world = World(plan)
    for _ in range(60):
        world.change()
    properties = (
        '<Property Name="at" Type="Edm.Int64" Nullable="false"/>'
        '<Property Name="name" Type="Edm.String"/>'
    )
    with odd_service(world.page, properties) as service:
        job = ThingsJob(service.url, cache_database, "at" if mode == "incremental" else "")
        for _ in range(RUNS):
            receipt = job.run()
            keys = [row[0] for row in job.rows()]
            assert len(keys) == len(set(keys))
            assert receipt.rows_read == receipt.rows_staged
            for _ in range(5):
                world.change()
        while world.late:
            world.commit()
        world.quiet = True
        receipt = job.run(reload=True)
    rows = [(key, time, text) for key, (time, text) in sorted(world.rows.items())]
    assert job.rows() == rows
    assert receipt.rows_read == len(rows)

"""How much breaks, and by which seed."""

import os
import random
from dataclasses import dataclass

SEED = int(os.environ.get("CHAOS_SEED", "1"))


@dataclass(frozen=True)
class Counts:
    """How often each fault comes; `make chaos` sets the environment of the full version."""

    kills: int
    joined: int
    sleepers: int
    restarts: int
    lost_answers: int
    network_seeds: int
    full_disks: int
    schedules: int
    changing: int
    ranges: int


def _count(name: str, short: int) -> int:
    return int(os.environ.get(f"CHAOS_{name}", str(short)))


COUNTS = Counts(
    kills=_count("KILLS", 50),
    joined=_count("JOINED", 6),
    sleepers=_count("SLEEPERS", 1),
    restarts=_count("RESTARTS", 1),
    lost_answers=_count("LOST_ANSWERS", 2),
    network_seeds=_count("NETWORK_SEEDS", 1),
    full_disks=_count("FULL_DISKS", 1),
    schedules=_count("SCHEDULES", 40),
    changing=_count("CHANGING", 5),
    ranges=_count("RANGES", 3),
)


def chance(fault: str, number: int = 0) -> random.Random:
    """The random numbers of one fault's plan; the same seed gives the same plan."""
    print(f"CHAOS_SEED={SEED} {fault} {number}")
    return random.Random(f"{SEED} {fault} {number}")  # noqa: S311 - no secret

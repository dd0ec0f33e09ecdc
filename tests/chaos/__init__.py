"""What breaks, breaks on purpose: seeded faults, and checkers that know what has to be true.

`CHAOS_SEED` replays a plan; `CHAOS_KILLS` and its sisters say how much (`counts.py`). `make test`
runs a short version of each fault, `make chaos` the full one.
"""

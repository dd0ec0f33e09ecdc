"""The life of a run: its states, and every way from one to another (docs/run-life.md).

Each change is one statement of one transaction. It names its transition, so that a run is only
moved from where the transition may begin, and it gives a reason; the state database keeps both
with the time (`run_change`).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class State(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCESS = "success"
    FAILED = "failed"
    STOPPED = "stopped"


Ended = Literal["success", "failed", "stopped"]
ENDED = frozenset({State.SUCCESS, State.FAILED, State.STOPPED})
ACTIVE = frozenset(State) - ENDED
"""A job has at most one run in these states."""

MEANING = {
    State.QUEUED: "it waits for a worker",
    State.RUNNING: "a worker executes it, in its newest attempt",
    State.RETRYING: "an attempt failed for a passing reason; the next one has its time",
    State.SUCCESS: "its rows are committed",
    State.FAILED: "it ended without a commit, and says why",
    State.STOPPED: "somebody asked it to end; the cached table is as it was",
}


@dataclass(frozen=True)
class Transition:
    """One way from some states (none: the run begins) to another."""

    name: str
    sources: tuple[State, ...]
    target: State
    when: str

    @property
    def from_states(self) -> list[str]:
        """The states it may begin in, for a statement's parameter."""
        return [state.value for state in self.sources]


QUEUE = Transition(
    "queue", (), State.QUEUED, "a job is created, its time has come, or somebody asks for a run"
)
CLAIM = Transition("claim", (State.QUEUED,), State.RUNNING, "a worker takes it from the queue")
SUCCEED = Transition(
    "succeed",
    (State.RUNNING, State.QUEUED, State.RETRYING),
    State.SUCCESS,
    "its rows were committed; of a run that waits, a stop finds it out",
)
FAIL = Transition(
    "fail",
    (State.RUNNING,),
    State.FAILED,
    "an error that another try would meet again, no tries left, or its time is over",
)
RETRY = Transition(
    "retry", (State.RUNNING,), State.RETRYING, "an error that passes by itself, and tries are left"
)
RESUME = Transition("resume", (State.RETRYING,), State.QUEUED, "the time of the next try has come")
HAND_BACK = Transition(
    "hand back", (State.RUNNING,), State.QUEUED, "its worker is asked to end before the run does"
)
RECOVER = Transition(
    "recover",
    (State.QUEUED, State.RUNNING),
    State.QUEUED,
    "its worker gives no sign of life, or the queue has lost it",
)
GIVE_UP = Transition(
    "give up", (State.QUEUED, State.RUNNING), State.FAILED, "its workers died again and again"
)
STOP = Transition(
    "stop",
    (State.QUEUED, State.RUNNING, State.RETRYING),
    State.STOPPED,
    "somebody asks for its end",
)

TRANSITIONS = (
    QUEUE,
    CLAIM,
    SUCCEED,
    FAIL,
    RETRY,
    RESUME,
    HAND_BACK,
    RECOVER,
    GIVE_UP,
    STOP,
)

ENDINGS: dict[Ended, Transition] = {"success": SUCCEED, "failed": FAIL, "stopped": STOP}
"""Which transition an attempt's end is."""


def drawn() -> str:
    """The diagram and the tables of docs/run-life.md, in Markdown."""
    arrows = [
        f"    {source} --> {one.target}: {one.name}"
        for one in TRANSITIONS
        for source in (one.sources or ("[*]",))
    ]
    ends = [f"    {state} --> [*]" for state in State if state in ENDED]
    states = [f"| `{state}` | {MEANING[state]} |" for state in State]
    ways = [
        f"| {one.name} | {', '.join(f'`{source}`' for source in one.sources) or 'nothing'} "
        f"| `{one.target}` | {one.when} |"
        for one in TRANSITIONS
    ]
    return "\n".join(
        [
            "```mermaid",
            "stateDiagram-v2",
            *arrows,
            *ends,
            "```",
            "",
            "| state | meaning |",
            "| --- | --- |",
            *states,
            "",
            "| transition | from | to | when |",
            "| --- | --- | --- | --- |",
            *ways,
            "",
        ]
    )

"""The life of a run: the table of the code, the page, and the statements agree."""

from pathlib import Path

from tidewell.jobs.job import STATUS
from tidewell.runs import life
from tidewell.runs.life import ACTIVE, ENDED, TRANSITIONS, State
from tidewell.state.statements import statements

ROOT = Path(__file__).parents[3]
SQL = statements("tidewell.runs", "queries.sql")


def test_the_page_is_drawn_from_the_code() -> None:
    assert life.drawn() in (ROOT / "docs/run-life.md").read_text()


def test_every_state_is_reached_and_every_active_one_is_left() -> None:
    assert {one.target for one in TRANSITIONS} == set(State)
    left = {source for one in TRANSITIONS for source in one.sources}
    assert left == ACTIVE


def test_nothing_comes_back_from_an_end() -> None:
    assert not [one.name for one in TRANSITIONS if set(one.sources) & ENDED]


def test_a_run_can_be_stopped_wherever_it_has_not_ended() -> None:
    assert set(life.STOP.sources) == ACTIVE


def test_clients_see_only_the_states_of_the_contract() -> None:
    assert set(STATUS) == {state.value for state in State}
    assert set(STATUS.values()) == {
        *("JOB_QUEUED", "JOB_RUNNING", "JOB_SUCCESS", "JOB_FAILED", "JOB_STOPPED")
    }


def test_a_statement_that_changes_a_state_says_when_why_and_from_where() -> None:
    for name, text in SQL.items():
        if "UPDATE run\n   SET state" in text:
            assert "changed_at = %(now)s" in text, name
            assert "reason = %(reason)s" in text, name
            condition = text.split("WHERE", 1)[1]
            assert "state =" in condition or "state IN" in condition, name

"""What a page takes for the tables that were chosen on another."""

from tidewell.pages.jobs.new_page import _tables


def test_only_names_that_a_table_can_have_are_taken() -> None:
    given = ['["Files","people"]', '["Files","\\ud800"]', '["Files"]', "[1,2]", "people", ""]
    assert _tables(given) == [("Files", "people")]

"""The house rules that a linter does not know."""

import re
import subprocess
from pathlib import Path

import pytest

from tidewell.settings import Settings
from tidewell.state.statements import statements

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
QUERIES = sorted((ROOT / "src").rglob("*.sql"))
OURS = ("accounts", "connections", "jobs", "runs", "api", "state", "webhooks")
LONGEST_FILE = 500


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_a_file_is_one_thought() -> None:
    long = [path.name for path in [*SOURCES, *QUERIES] if lines(path) > LONGEST_FILE]
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [p.name for p in SOURCES if not p.read_text().startswith('"""') and lines(p)]
    assert silent == []


def named_statements() -> list[tuple[str, str, str]]:
    found = []
    for path in QUERIES:
        if "migrations" in path.parts:
            continue
        package = ".".join(path.relative_to(ROOT / "src").parent.parts)
        for name, text in statements(package, path.name).items():
            found.append((f"{package}/{path.name}", name, text))
    return found


STATEMENTS = named_statements()


@pytest.mark.parametrize(("file", "name", "text"), STATEMENTS, ids=[s[1] for s in STATEMENTS])
def test_a_statement_has_a_comment_and_an_account(file: str, name: str, text: str) -> None:
    assert text.startswith("-- "), f"{name} in {file} has no comment"
    if file.split(".")[1].split("/", maxsplit=1)[0] in OURS:
        code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        assert "%(account_id)s" in code or "-- across accounts: " in text, (
            f"{name} in {file} takes no account: add it to the conditions, or say why it needs "
            "none in a line `-- across accounts: …`"
        )


def test_every_statement_is_used() -> None:
    code = "\n".join(path.read_text() for path in SOURCES).lower()
    unused = [name for _, name, _ in STATEMENTS if f'"{name}"' not in code]
    assert unused == []


def test_sql_stands_in_sql_files() -> None:
    statement = re.compile(
        r"""(?<!query\()["'](SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|DROP) """
    )
    found = [
        f"{path.name}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text().splitlines()
        if statement.search(line)
    ]
    # The one probe that has nothing to name or explain, and what PostgreSQL answers.
    assert [one for one in found if "SELECT 1" not in one] == []


def test_every_setting_is_documented_where_people_look() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"`TIDEWELL_{name.upper()}`" in readme
        assert field.description


def test_make_help_shows_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0
    listed = set(re.findall(r"make ([a-z-]+)", shown.stdout))
    assert targets - {"install", "install-dev"} == listed


def test_the_locks_hold_hashes_and_no_hosts() -> None:
    locks = list(ROOT.glob("requirements*.lock"))
    assert len(locks) == 6
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        for requirement in re.findall(r"^[a-z].*(?:\n +.*)*", text, re.MULTILINE):
            assert "--hash=sha256:" in requirement, requirement


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []


def test_documents_that_the_code_names_exist() -> None:
    text = "\n".join(path.read_text() for path in [*SOURCES, ROOT / "pyproject.toml"])
    missing = [
        name for name in set(re.findall(r"docs/[\w/-]+\.md", text)) if not (ROOT / name).exists()
    ]
    assert missing == []


def test_statements_for_a_customers_database_are_ascii() -> None:
    """Its encoding may be another than UTF-8: not even a comment may hold what that lacks."""
    queries = [path for path in QUERIES if path.parent.name == "cache"]
    assert queries
    for path in queries:
        assert path.read_text(encoding="utf-8").isascii(), path.name


def test_what_the_page_of_sizes_says_of_memory_was_measured() -> None:
    """Each figure of its table stands in the results of the benchmarks, in a cell of its own."""
    page = (ROOT / "docs" / "sizing.md").read_text()
    table = "\n".join(line for line in page.splitlines() if line.startswith("| "))
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    cells = {cell.strip() for line in results.splitlines() for cell in line.split("|")[1:-1]}
    figures = set(re.findall(r"([\d.]+)(?: to \d+)?(?: MB|% of a core)", table))
    figures |= set(re.findall(r" to (\d+) MB", table))
    assert len(figures) > 10
    assert figures - cells == set()

"""What the site has beyond docs/: the changelog, files that pages point to, the diagrams' script.

A link of a page to a file of the repository that is no page (`../src/…`) keeps its text only: the
site stands alone.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
ADDED = {
    "assets/mermaid.tiny.js": "website/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js",
    "assets/site.css": "website/site.css",
    "assets/icon.svg": "src/tidewell/pages/static/icon.svg",
    "files/grafana-dashboard.json": "deploy/grafana-dashboard.json",
}
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add what is kept elsewhere."""
    for name, source in ADDED.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    text = (ROOT / "CHANGELOG.md").read_text().replace("](docs/", "](")
    files.append(File.generated(config, "changes.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links that leave docs/ to what was added, or leave their text."""
    folder = (Path(config.docs_dir) / page.file.src_uri).parent
    by_source = {(ROOT / source).resolve(): name for name, source in ADDED.items()}
    by_source[ROOT / "CHANGELOG.md"] = "changes.md"
    depth = page.file.src_uri.count("/")

    def placed(match: re.Match[str]) -> str:
        text, target = match[1], match[2]
        found = (folder / target).resolve()
        if found.is_relative_to(config.docs_dir):
            return match[0]
        if found in by_source:
            return f"[{text}]({'../' * depth}{by_source[found]})"
        return text

    return _LINK.sub(placed, markdown)

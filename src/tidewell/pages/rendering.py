"""Templates into answers, with the headers that keep a page to itself."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from tidewell.pages import words

STATIC = Path(__file__).with_name("static")
_DIGESTS = {
    path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in STATIC.iterdir()
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def asset(name: str) -> str:
    """The address of a style sheet or script of ours; it changes with the content."""
    return f"/oem/static/{name}?v={_DIGESTS[name]}"


_TEMPLATES.globals["asset"] = asset
_TEMPLATES.filters |= {
    "ago": words.ago,
    "span": words.span,
    "stamp": words.stamp,
    "number": words.number,
    "size": words.size,
}


def page(
    template: str, *, frame_origins: Sequence[str] = (), status: int = 200, **values: Any
) -> HTMLResponse:
    """A page; `frame_origins` are the origins whose pages may frame it."""
    text = _TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(text, status, headers=security_headers(frame_origins))


def security_headers(frame_origins: Sequence[str]) -> dict[str, str]:
    """Nothing from elsewhere, no inline script, no address handed on, framed by the vendor only."""
    frames = " ".join(frame_origins) or "'none'"
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; "
            f"frame-ancestors {frames}"
        ),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }

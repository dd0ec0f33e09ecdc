"""The page at /docs: every call, made from the OpenAPI document, loading nothing from elsewhere."""

from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; text-transform: capitalize; }
article { border: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  border-radius: .5rem; padding: .75rem 1rem; margin: .75rem 0; overflow-x: auto; }
h3 { margin: 0; font: 600 1rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
h3 b { display: inline-block; min-width: 4.5rem; }
p { margin: .25rem 0; } code { font-size: .9em; }
"""


def reference_page(document: dict[str, Any]) -> str:
    """The calls of an OpenAPI document by tag, as one HTML page."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            by_tag.setdefault(tag, []).append(_article(path, method, operation, document))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(articles)}" for tag, articles in by_tag.items()]
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))} "
        '<a href="/openapi.json">OpenAPI document</a></p>'
        f"{''.join(parts)}</main></body></html>"
    )


def _article(path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    fields = ""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        schema = document.get("components", {}).get("schemas", {}).get(name, content["schema"])
        required = set(schema.get("required", ()))
        names = [
            f"<code>{escape(field)}</code>{'' if field in required else ' (optional)'}"
            for field in schema.get("properties", {})
        ]
        fields = f"<p>Body: {', '.join(names)}</p>"
    parameters = [
        f"<code>{escape(one['name'])}</code>"
        for one in operation.get("parameters", ())
        if one["in"] == "query"
    ]
    query = f"<p>Query: {', '.join(parameters)}</p>" if parameters else ""
    return (
        f"<article><h3><b>{escape(method.upper())}</b> {escape(path)}</h3>"
        f"<p>{escape(operation.get('description', ''))}</p>{fields}{query}</article>"
    )

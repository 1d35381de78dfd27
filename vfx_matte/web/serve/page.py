"""The description of the interface as a page, made of its OpenAPI description; it loads nothing
from anywhere.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Response

REFERENCE_FILES = frozenset({"/", "/reference.css", "/openapi.json"})
"""What anybody may read."""

_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 sans-serif;
  color: #1d1d1f; background: #fff; }
h2 { margin: 2.5rem 0 0.5rem; font-size: 1.1rem; border-top: 1px solid #ccc; padding-top: 1rem; }
h2 b { display: inline-block; min-width: 4.5rem; color: #0a5a8a; }
h3 { margin: 1rem 0 0.25rem; font-size: 1rem; }
code { font: 0.95rem/1.4 monospace; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0;
  border-bottom: 1px solid #ddd; }
@media (prefers-color-scheme: dark) {
  body { color: #eee; background: #1b1b1d; }
  h2 b { color: #7cc4f0; }
  h2, td, th { border-color: #444; }
}
"""


def add_reference(app: FastAPI) -> None:
    """Add the page at / to an application that has all of its routes."""
    page = reference_page(app.openapi())

    @app.get("/", include_in_schema=False)
    def reference() -> Response:
        return Response(page, media_type="text/html")

    @app.get("/reference.css", include_in_schema=False)
    def style() -> Response:
        return Response(_STYLE, media_type="text/css")


def reference_page(described: dict[str, Any]) -> str:
    """A page of HTML.

    Args:
        described: an OpenAPI description.
    """
    lines = "\n".join(_lines(described))
    title = html.escape(described["info"]["title"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="stylesheet" href="/reference.css"></head>\n<body>\n{lines}\n</body></html>\n'
    )


def _lines(described: dict[str, Any]) -> Iterator[str]:
    info = described["info"]
    yield f"<h1>{html.escape(info['title'])}</h1>"
    yield f"<p>{html.escape(info.get('summary', ''))}"
    yield (
        "Every request but those for this page has the token that was printed when the server"
        " began, as <code>Authorization: Bearer TOKEN</code> or <code>Token: TOKEN</code>. Every"
        " error has a <code>message</code> and a <code>hint</code>. The same for programs:"
        ' <a href="/openapi.json">openapi.json</a>.</p>'
    )
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            yield f"<h2><b>{method.upper()}</b> <code>{html.escape(path)}</code></h2>"
            for part in str(operation.get("description", "")).split("\n\n"):
                yield f"<p>{html.escape(part)}</p>"
            yield from _parameters(operation)
            yield from _body(operation, described)


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    found = [one for one in operation.get("parameters", []) if one["in"] != "path"]
    if found:
        yield "<h3>Parameters</h3>"
        yield from _table(
            (one["name"], one["schema"], one.get("required", False), f"in the {one['in']}")
            for one in found
        )


def _body(operation: dict[str, Any], described: dict[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    for kind, media in content.items():
        schema = _resolved(media["schema"], described)
        required = schema.get("required", [])
        yield f"<h3>Body, {html.escape(kind)}</h3>"
        yield from _table(
            (name, one, name in required, _text(_resolved(one, described)))
            for name, one in schema.get("properties", {}).items()
        )


def _table(rows: Iterator[tuple[str, dict[str, Any], bool, str]]) -> Iterator[str]:
    yield "<table><tr><th>name</th><th>type</th><th>default</th><th></th></tr>"
    for name, schema, is_required, text in rows:
        default = "required" if is_required else json.dumps(schema.get("default"))
        cells = (name, _type(schema), default, text)
        yield f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
    yield "</table>"


def _text(schema: dict[str, Any]) -> str:
    """What a value is; of one that may be null, what it is otherwise."""
    texts = [one.get("description", "") for one in (schema, *schema.get("anyOf", []))]
    return next(filter(None, texts), "")


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return "file" if schema.get("format") == "binary" else kind


def _resolved(schema: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """A schema itself, where it is a reference to one."""
    if "$ref" not in schema:
        return schema
    name = str(schema["$ref"]).rpartition("/")[2]
    found: dict[str, Any] = described["components"]["schemas"][name]
    return found

"""HTML tables for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pisnn_deploy.core.printable import printable


def html_table(title: str, rows: Mapping[str, str]) -> str:
    """Format names and values as an HTML table.

    Parameters
    ----------
    rows : mapping of str to str
        Plain text, which is escaped because it may come from an untrusted file.
    """
    body = "".join(
        f'<tr><th style="text-align:left">{_shown(name)}</th><td style="text-align:left">{_shown(text)}</td></tr>'
        for name, text in rows.items()
    )
    return f"<table><caption>{_shown(title)}</caption>{body}</table>"


def _shown(text: str) -> str:
    return escape(printable(text))

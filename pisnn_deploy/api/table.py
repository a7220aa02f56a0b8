"""Tables that notebooks show."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pisnn_deploy.core.printable import printable


def html_table(title: str, rows: Mapping[str, str]) -> str:
    """A table of names and values as HTML.

    Parameters
    ----------
    rows : mapping of str to str
        Plain text: it may come from a user's file, and is escaped.
    """
    body = "".join(
        f'<tr><th style="text-align:left">{_shown(name)}</th><td style="text-align:left">{_shown(text)}</td></tr>'
        for name, text in rows.items()
    )
    return f"<table><caption>{_shown(title)}</caption>{body}</table>"


def _shown(text: str) -> str:
    return escape(printable(text))

"""A goal of accuracy and what became of it: a row of a page."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
"""The text of a goal, the figure reached, whether it is met, and the command that shows it."""


def goal(text: str, figure: str, met: bool, command: str) -> Row:
    """A measured goal."""
    return {"goal": text, "reached": figure, "met": bool(met), "command": command}

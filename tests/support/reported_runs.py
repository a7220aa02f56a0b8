"""Runs of the command line whose reports tests look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pisnn_deploy.cli.commands.simulate import command
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import write_artifact


@dataclass(frozen=True)
class Reported:
    """A run with a report.

    Attributes
    ----------
    path : Path
        Of the page.
    result : dict
        The JSON that the command printed.
    error : str
        What it failed with; empty if it did not.
    """

    path: Path
    result: dict[str, Any]
    error: str

    @property
    def html(self) -> str:
        """The page."""
        return self.path.read_text("utf-8")


def report_of(
    graph: IntegerGraph, folder: Path, *words: object, name: str = "run", accuracy: object = None
) -> Reported:
    """Simulate a graph on `fast` with a report."""
    artifact, page = folder / f"{name}.pisnn", folder / f"{name}.html"
    provenance = {"model": "<b>model</b>", "options": {"mesh": "<i>"}, "versions": {"a": "1"}}
    write_artifact(artifact, graph, provenance | ({} if accuracy is None else {"accuracy": accuracy}))
    given = [str(artifact), "--backend", "fast", "--report", str(page), "--json", *map(str, words)]
    ended = CliRunner().invoke(command, given)
    assert ended.exception is None or isinstance(ended.exception, PisnnError), ended.exception
    return Reported(page, json.loads(ended.stdout), str(ended.exception or ""))


class Page(HTMLParser):
    """The elements of a page, and the text of each that has an identifier."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.text = ""
        self._open: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        named = dict(attrs)
        self.elements.append((tag, named))
        self._open.append((tag, named.get("id")))

    def handle_endtag(self, tag: str) -> None:
        """Close an element, and those within it that have no end of their own."""
        if not any(name in ("script", "pre") for name, _ in self._open):
            self.handle_data(" ")  # neighbouring cells of a table are words of their own
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Note text."""
        if not any(tag in ("script", "style") for tag, _ in self._open):
            self.text += data
        for _, identifier in self._open:
            if identifier is not None:
                self.texts[identifier] = self.texts.get(identifier, "") + data

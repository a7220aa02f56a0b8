"""Fenced blocks of Markdown pages, each with the comment right above it, which readers do not see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes
    ----------
    line : int
        Of the page, where the text begins.
    marker : str
        The comment above it; empty if there is none.
    language : str
        Word after the opening fence.
    text : str
        What stands between the fences.
    """

    line: int
    marker: str
    language: str
    text: str


def blocks(markdown: str) -> Iterator[Block]:
    """Give every fenced block of a page in its order.

    Raises
    ------
    AssertionError
        A fence is written in another way, so that its block would be overlooked.
    """
    overlooked = re.search(r"^ *(```|~~~).*", BLOCK.sub("", markdown), re.MULTILINE)
    assert overlooked is None, f"{overlooked[0]}: write a language and nothing more, or it is not run"
    for match in BLOCK.finditer(markdown):
        line = markdown.count("\n", 0, match.start("text")) + 1
        yield Block(line, match["marker"] or "", match["language"], match["text"])

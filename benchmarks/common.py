"""Shared by several scripts: timing in turns, the machine, tables and pages.

It imports only the standard library: a process inherits the peak memory of its parent, so the parent must be smaller
than the command that it measures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Measure = TypeVar("Measure")

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "results"
BUILD = ROOT / "build" / "results"
"""Files kept between runs; git ignores them."""
COMMAND = (str(Path(sys.executable).with_name("pisnn-deploy")),)
"""The command as users start it."""


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that an action takes."""
    begun = clock()
    action()
    return clock() - begun


def in_turns(measures: Mapping[Key, Callable[[], Measure]], rounds: int) -> dict[Key, list[Measure]]:
    """Take measurements in turns, so that all see the same machine load; return the values of each, by round."""
    values: dict[Key, list[Measure]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            values[key].append(measure())
    return values


def medians_in_turns(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, float]:
    """Take measurements in turns; return the medians."""
    return {key: statistics.median(values) for key, values in in_turns(measures, rounds).items()}


def command(*words: str) -> None:
    """Run ``pisnn-deploy`` in a separate process."""
    subprocess.run([*COMMAND, *words], capture_output=True, check=True)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def load() -> float:
    """Load average of the last minute."""
    return os.getloadavg()[0]


def times(shape: Iterable[int]) -> str:
    """Cells along each axis, as ``--mesh`` takes them."""
    return "x".join(map(str, shape))


def line(*cells: object) -> str:
    """Format a row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def table(columns: Iterable[str], rows: Iterable[str]) -> list[str]:
    """Lines of a Markdown table with the given columns and rows, which `line` formats."""
    names = tuple(columns)
    return [line(*names), line(*["---"] * len(names)), *rows]


def page_parser(doc: str | None) -> argparse.ArgumentParser:
    """Create the parser of a script that writes a page, with ``--dry-run``; `doc` is the script's docstring."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--dry-run", action="store_true", help="print the page and write nothing")
    return parser


def publish(page: Path, text: str, *, dry_run: bool) -> None:
    """Print a page, and write it unless this is a dry run."""
    sys.stdout.write(text)
    if not dry_run:
        page.write_text(text, encoding="utf-8")


def fill(path: Path, name: str, text: str) -> None:
    """Replace the text between ``<!-- NAME -->`` and ``<!-- /NAME -->`` in a file.

    Raises
    ------
    ValueError
        The file does not have both marks once, in this order.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, *middle = path.read_text(encoding="utf-8").split(opening)
    parts = middle[0].split(closing) if len(middle) == 1 else []
    if len(parts) != 2:
        raise ValueError(f"{path}: must have {opening} and {closing} once")
    path.write_text(f"{before}{opening}\n{text}\n{closing}{parts[1]}", encoding="utf-8")

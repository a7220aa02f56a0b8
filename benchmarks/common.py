"""What several scripts share: seconds in turns, the machine, tables and pages.

It imports nothing beyond the standard library: the largest memory of a process counts what its parent held when it
started, so what measures a command must be smaller than the command.
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

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "results"
BUILD = ROOT / "build" / "results"
"""What is kept from one run to the next; git ignores it."""
COMMAND = (str(Path(sys.executable).with_name("pisnn-deploy")),)
"""The command line as users start it."""


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that an action takes."""
    begun = clock()
    action()
    return clock() - begun


def in_turns(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, list[float]]:
    """Take measures in turns, so that all of them see the same machine; the values of each, round by round."""
    values: dict[Key, list[float]] = {key: [] for key in measures}
    for _ in range(rounds):
        for key, measure in measures.items():
            values[key].append(measure())
    return values


def medians_in_turns(measures: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, float]:
    """Medians of measures that were taken in turns."""
    return {key: statistics.median(values) for key, values in in_turns(measures, rounds).items()}


def command(*words: str) -> None:
    """Run a command of ours in a process of its own."""
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
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def table(columns: Iterable[str], rows: Iterable[str]) -> list[str]:
    """The lines of a table in Markdown, from its columns and from lines that `line` gave."""
    names = tuple(columns)
    return [line(*names), line(*["---"] * len(names)), *rows]


def page_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser of a script that writes a page, which has ``--dry-run``; `doc` is the script's docstring."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--dry-run", action="store_true", help="print the page and write nothing")
    return parser


def publish(page: Path, text: str, *, dry_run: bool) -> None:
    """Print a page, and write it unless it is a dry run."""
    sys.stdout.write(text)
    if not dry_run:
        page.write_text(text, encoding="utf-8")


def fill(path: Path, name: str, text: str) -> None:
    """Put `text` between the marks ``<!-- NAME -->`` and ``<!-- /NAME -->`` of a file.

    Raises
    ------
    ValueError
        It does not have both marks once, in this order.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, *middle = path.read_text(encoding="utf-8").split(opening)
    parts = middle[0].split(closing) if len(middle) == 1 else []
    if len(parts) != 2:
        raise ValueError(f"{path}: must have {opening} and {closing} once")
    path.write_text(f"{before}{opening}\n{text}\n{closing}{parts[1]}", encoding="utf-8")

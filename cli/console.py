"""Output of commands: tables and JSON on stdout, progress on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from pisnn_deploy.cli.messages import print_message, with_options
from pisnn_deploy.core.printable import json_text, printable, printable_lines, without_commands

if TYPE_CHECKING:
    from pisnn_deploy.project.listener import Listener, Progress

SECONDS_BETWEEN_LINES = 1.0
FAST = 10
"""Steps per second from which on tenths do not matter."""

Cell = str | Text
"""A plain string is printed without markup; only a `Text` has colours."""
Row = tuple[Cell, ...]


def print_text(text: str, *, commands: bool = False) -> None:
    """Print lines on stdout; a closed pipe does not change the exit code.

    Parameters
    ----------
    text : str
        Without the last line break. Unprintable characters are escaped.
    commands : bool
        Whether lines may be workflow commands.
    """
    _write("\n".join(map(printable, text.split("\n"))) if commands else printable_lines(text))


def print_line(text: str) -> None:
    """Print one line on stdout; line breaks in names are escaped."""
    print_text(printable(text))


def _write(text: str) -> None:
    try:
        click.echo(text)
    except BrokenPipeError:
        # Later output and the interpreter's flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Mapping[str, object]) -> None:
    """Print exactly one JSON object on stdout."""
    _write(json_text(value))


def print_table(title: Cell, rows: Sequence[Row], columns: Sequence[str] = ()) -> None:
    """Print a table on stdout; the first column names the row.

    Parameters
    ----------
    columns : sequence of str
        Headings; none for a list of names and values.
    """
    table = Table(title=_plain(title), title_justify="left", show_header=bool(columns))
    for heading in columns or ("", "")[: len(rows[0]) if rows else 2]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(_plain, row))
    # rich drops only colours for NO_COLOR and would keep other escape codes.
    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto")
    with console.capture() as captured:
        console.print(table)
    # Long titles are wrapped, so any word may start a line.
    _write(without_commands(captured.get().removesuffix("\n")))


def _plain(cell: Cell) -> Text:
    """Text without markup: names and messages come from users' files, so controls are escaped."""
    if isinstance(cell, str):
        return Text(printable(cell))
    plain = printable(cell.plain)
    return cell if plain == cell.plain else Text(plain, cell.style)


@contextmanager
def progress(title: str, total: int, *, quiet: bool) -> Iterator[Progress]:
    """Show progress on stderr: a bar on a terminal, else a line a second.

    Yields
    ------
    callable
        Call it with the number of steps done so far, and perhaps a text to show beside it.
    """
    title = printable(title)
    console = Console(stderr=True)
    if quiet or total <= 0:
        yield lambda done, note="": None
    elif console.is_terminal:
        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        with Bar(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=total)

            def update(done: int, note: str = "") -> None:
                bar.update(task, completed=done, description=f"{title}: {note}" if note else title)

            yield update
    else:
        yield _Lines(title, total)


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.0f}/s")


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._last, self._done = title, total, time.monotonic(), 0
        self._has_started = False

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            # The time before the first call includes start-up, such as compiling a kernel, and says nothing of a step.
            speed = self._speed(done, now) if self._has_started else ""
            beside = f", {note}" if note else ""
            print_message(f"{self._title}: {done} of {self._total}{speed}{beside}")
            self._last, self._done = now, done
        elif not self._has_started:
            self._last, self._done = now, done
        self._has_started = True

    def _speed(self, done: int, now: float) -> str:
        """Steps per second since the last line, and the time left at that speed."""
        rate = (done - self._done) / (now - self._last)
        left = f", {(self._total - done) / rate:.0f} s left" if rate > 0 else ""
        return f", {rate:.{0 if rate >= FAST else 1}f}/s{left}"


def listener(*, quiet: bool) -> Listener:
    """Create a listener that shows progress and messages of a run or a training on stderr."""
    from pisnn_deploy.project.listener import Listener

    return Listener(partial(progress, quiet=quiet), lambda sentence: print_message(with_options(sentence)))

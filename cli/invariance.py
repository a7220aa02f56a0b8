"""The table of invariance on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from pisnn_deploy.cli.console import print_table
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.runs.registry import BACKENDS

if TYPE_CHECKING:
    from pisnn_deploy.invariance import Row


@dataclass(frozen=True)
class Table:
    """What to run; see `pisnn_deploy.invariance.invariance_rows`."""

    steps: int | None
    backends: tuple[str, ...] | None

    def rows(self, graph: IntegerGraph) -> tuple[Row, ...]:
        """Run all transformations of a graph."""
        # Imported here, because it loads the compiler, which `verify` alone does without.
        from pisnn_deploy.invariance import invariance_rows

        return tuple(invariance_rows(graph, self.steps, self.backends))

    @staticmethod
    def difference(rows: Iterable[Row]) -> Row | None:
        """Return the first row that differs, or None."""
        return next((row for row in rows if row.verdict == "differs"), None)

    @staticmethod
    def show(rows: Sequence[Row]) -> None:
        """Print the table, unless it is empty."""
        colours = {"equal": "green", "differs": "bold red"}
        shown = [
            (row.transformation, Text(row.verdict, colours.get(row.verdict, "yellow")), row.detail or row.compared)
            for row in rows
        ]
        if shown:
            print_table("invariance", shown, ("transformation", "integers", "compared, or why not"))


def require_table(invariance: bool, steps: int | None, backends: str | None) -> Table | None:
    """Return what the options ask for; None without ``--invariance``.

    Raises
    ------
    UsageError
        An option needs another, or a backend is unknown.
    """
    for name, value in (("steps", steps), ("backends", backends)):
        if value is not None and not invariance:
            raise UsageError(f"`{name}`: needs `invariance`")
    names = None if backends is None else tuple(backends.split(","))
    for name in names or ():
        if name not in BACKENDS:
            raise UsageError(f"`backends` {name!r}: expected names of {', '.join(BACKENDS)}, separated by commas")
    return Table(steps, names) if invariance else None

"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
HELP: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}
"""Settings of every command's context."""
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
QUIETER = click.option("-q", "--quiet", is_flag=True, help="Print neither progress nor tables.")


def timeout(help_text: str) -> Callable[[Command], Command]:
    """Option ``--timeout`` of a command.

    Parameters
    ----------
    help_text : str
        What the time limit stops.
    """
    return click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=3600.0,
        show_default=True,
        metavar="SECONDS",
        help=help_text,
    )

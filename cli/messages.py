"""Messages of commands on stderr, one line each; text from files and file names is made safe for a terminal."""

from __future__ import annotations

import io
import logging
import re
import warnings
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from pisnn_deploy.core.errors import shortened
from pisnn_deploy.core.printable import printable, printable_lines, without_commands

_FIELD = re.compile(r"`([a-z_]+)`")
_OPTIONS = {"value_range": "range", "faults": "fault"}
"""Options named unlike their fields, because the name is taken in Python."""
_LABEL = "Error: "
"""Start of the last line of click's usage errors."""


class PrintableFormatter(logging.Formatter):
    """Formats each record as one line, with a traceback below it if there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without its traceback."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line with its traceback."""
        return printable_lines(super().format(record))


def make_warnings_printable() -> None:
    """Escape Python's own warnings as well; they may quote a file."""
    warnings.formatwarning = _formatted_warning


def _formatted_warning(message: Warning | str, *rest: Any, **named: Any) -> str:
    return without_commands(f"warning: {printable(message)}\n")


def with_options(text: str) -> str:
    """Text of an error, with field names in backticks replaced by options."""
    return _FIELD.sub(lambda field: f"--{_OPTIONS.get(field[1], field[1]).replace('_', '-')}", text)


def print_message(text: str) -> None:
    """Print one line on stderr; line breaks in names are escaped."""
    click.echo(without_commands(printable(text)), err=True)


def show_wrong_usage(error: click.ClickException) -> None:
    """Print click's usage error; its arguments may be file names."""
    if isinstance(error, click.MissingParameter | NoArgsIsHelpError):  # several lines, without user text
        error.show()
        return
    buffer = io.StringIO()
    error.show(buffer)
    click.echo(buffer.getvalue().partition(_LABEL)[0], err=True, nl=False)
    print_message(shortened(f"{_LABEL}{printable(error.format_message())}"))

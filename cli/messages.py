"""What commands say on stderr, line by line; text of files and of their names is made fit for a terminal."""

from __future__ import annotations

import io
import logging
import re
import warnings
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from pisnn_deploy.core.printable import printable, printable_lines, without_commands

_FIELD = re.compile(r"`([a-z_]+)`")
_OPTIONS = {"value_range": "range", "faults": "fault"}
"""Options that are not called as their fields, because Python has something else of the name."""
_LABEL = "Error: "
"""Start of the last line of click's usage errors."""


class PrintableFormatter(logging.Formatter):
    """Formats records of which each is one line, but for a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls it by
        """The line without its traceback."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line with its traceback."""
        return printable_lines(super().format(record))


def make_warnings_printable() -> None:
    """Have Python's own warnings, which may quote a file, printed like everything else."""
    warnings.formatwarning = _formatted_warning


def _formatted_warning(message: Warning | str, *rest: Any, **named: Any) -> str:
    return without_commands(f"warning: {printable(message)}\n")


def with_options(text: str) -> str:
    """The text of an error, with the fields that it names in backticks as the options that set them."""
    return _FIELD.sub(lambda field: f"--{_OPTIONS.get(field[1], field[1]).replace('_', '-')}", text)


def print_message(text: str) -> None:
    """Print one line on stderr, whatever line breaks names in it have."""
    click.echo(without_commands(printable(text)), err=True)


def show_wrong_usage(error: click.ClickException) -> None:
    """Say what click found wrong with the words of a command, of which some may be names of files."""
    if isinstance(error, click.MissingParameter | NoArgsIsHelpError):  # several lines, and none of a file
        error.show()
        return
    buffer = io.StringIO()
    error.show(buffer)
    click.echo(buffer.getvalue().partition(_LABEL)[0], err=True, nl=False)
    print_message(f"{_LABEL}{error.format_message()}")

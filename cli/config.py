"""Options that a project keeps in a file: ``pisnn.toml``, or sections of ``setup.cfg``."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pisnn_deploy.errors import FileError
from pisnn_deploy.pointers import require_content

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "pisnn.toml"
SETUP = "setup.cfg"
PREFIX = "pisnn-deploy."
"""Of sections of a setup.cfg: ``[pisnn-deploy.compile]``."""
LARGEST = 1 << 20
"""Bytes of a file that is read."""

Sections = Mapping[str, Mapping[str, object]]
"""Options by name, without dashes in front, by command."""


def find_config(folder: Path) -> Path | None:
    """The file of options in a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Path or None
        ``pisnn.toml`` if there is one, else ``setup.cfg`` if it has sections for this program.
    """
    own, setup = folder / FILE, folder / SETUP
    if own.is_file():
        return own
    if setup.is_file() and setup.stat().st_size <= LARGEST:
        marker = f"[{PREFIX}".encode()
        return setup if any(line.startswith(marker) for line in setup.read_bytes().splitlines()) else None
    return None


def read_config(path: Path) -> Sections:
    """Read a file of options.

    Parameters
    ----------
    path : Path
        A ``.toml`` file with a table for each command, or a ``.cfg`` file.

    Returns
    -------
    mapping of str to mapping

    Raises
    ------
    FileError
        It cannot be read or understood.
    """
    require_content(path)
    try:
        if path.stat().st_size > LARGEST:
            raise FileError(path, f"is larger than {LARGEST} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise FileError(path, "is not UTF-8 text") from error
    try:
        tables: Mapping[str, Any] = _sections(text) if path.suffix == ".cfg" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, configparser.Error, RecursionError) as error:
        raise FileError(path, f"cannot be understood: {' '.join(str(error).split())}") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise FileError(path, "expected a table of a command's options, such as [compile]", field=name)
    return tables


def _sections(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    named = [name for name in parser.sections() if name.startswith(PREFIX)]
    return {name.removeprefix(PREFIX): dict(parser[name]) for name in named}


def defaults_of(command: click.Command, options: Mapping[str, object], path: Path) -> dict[str, object]:
    """Defaults of a command's parameters.

    Parameters
    ----------
    command : click.Command
    options : mapping of str to object
        By the long names of options.
    path : Path
        Where they stand, for error messages.

    Returns
    -------
    dict of str to object
        By the names of parameters, as click wants them.

    Raises
    ------
    FileError
        The command has no such option, or a value is a table.
    """
    known = {
        long.removeprefix("--"): parameter.name or ""
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for long in parameter.opts
        if long.startswith("--")
    }
    for name, value in options.items():
        field = f"{command.name}.{name}"
        if name not in known:
            raise FileError(path, f"is no option; expected one of {', '.join(sorted(known))}", field=field)
        if isinstance(value, dict):
            raise FileError(path, "must be a text, a number, true or false, or a list", field=field)
    return {known[name]: value for name, value in options.items()}

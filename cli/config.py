"""Project defaults from ``pisnn.toml`` or sections of ``setup.cfg``."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import read_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "pisnn.toml"
SETUP = "setup.cfg"
PREFIX = "pisnn-deploy."
"""Prefix of this program's sections in setup.cfg, as in ``[pisnn-deploy.compile]``."""
READ = ("baseline", "capacity", "conductivity", "events", "key", "materials", "reference", "signature")
"""Options that name an input file."""
LISTS: Mapping[str, str] = {
    "mesh": "x",
    "boundary": " ",
    **dict.fromkeys(("lengths", "diffusivity", "value_range", "select", "ignore", "meshes"), ","),
}
"""Options that join several values in one text, and what stands between them; TOML may give them as a list."""
LARGEST = 1 << 20
"""Largest size of an options file, in bytes."""

Sections = Mapping[str, Mapping[str, object]]
"""Options of each command, by name without leading dashes."""


def find_config(folder: Path) -> Path | None:
    """Find the options file in a folder.

    Returns
    -------
    Path or None
        ``pisnn.toml`` if there is one, else ``setup.cfg`` if it has sections for this program.
    """
    toml, setup = folder / FILE, folder / SETUP
    if toml.is_file():
        return toml
    if setup.is_file() and setup.stat().st_size <= LARGEST:
        marker = f"[{PREFIX}".encode()
        return setup if any(line.startswith(marker) for line in setup.read_bytes().splitlines()) else None
    return None


def read_config(path: Path) -> Sections:
    """Read an options file.

    Parameters
    ----------
    path : Path
        A ``.toml`` file with a table for each command, or a ``.cfg`` file.

    Raises
    ------
    FileError
        It cannot be read or understood.
    """
    try:
        text = read_bytes(path, LARGEST).decode()
    except UnicodeDecodeError as error:
        raise FileError(path, "is not UTF-8 text") from error
    try:
        tables: Mapping[str, Any] = _sections(text) if path.suffix == ".cfg" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, configparser.Error, RecursionError) as error:
        raise FileError(path, f"cannot be understood: {' '.join(str(error).split())}") from error
    except ValueError as error:  # Python parses no integer of more than 4300 digits
        raise FileError(path, "has a number of too many digits") from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise FileError(path, "expected a table of a command's options, such as [compile]", field=name)
    return tables


def _sections(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    named = [name for name in parser.sections() if name.startswith(PREFIX)]
    return {name.removeprefix(PREFIX): dict(parser[name]) for name in named}


def defaults_of(command: click.Command, options: Mapping[str, object], path: Path, *, named: bool) -> dict[str, object]:
    """Defaults of a command's parameters.

    Parameters
    ----------
    options : mapping of str to object
        Values by long option name.
    path : Path
        The options file, for error messages.
    named : bool
        Whether the user named the file; only then may it set outputs and addresses.

    Returns
    -------
    dict of str to object
        Values by parameter name, as click expects them.

    Raises
    ------
    FileError
        The command has no such option, a value is none that the option takes, or the file was only found and the
        option names a place.
    """
    known = {
        long.removeprefix("--"): parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for long in parameter.opts
        if long.startswith("--")
    }
    for name, value in options.items():
        field = f"{command.name}.{name}"
        if name not in known:
            raise FileError(path, f"unknown option; expected one of {', '.join(sorted(known))}", field=field)
        if not named and _names_a_place(known[name]):
            raise FileError(
                path,
                "is not taken from a file that was only found in the current folder",
                field=field,
                remedy=f"give --{name}, or name the file: pisnn-deploy --config {path} {command.name} ...",
            )
        _require_kind(known[name], value, path, field)
    return {known[name].name or "": _as_typed(known[name], value) for name, value in options.items()}


def _as_typed(option: click.Option, value: object) -> object:
    """A value as click expects it: a list for an option that may be repeated, else one value."""
    if option.multiple:
        return value if isinstance(value, list) else [value]
    return LISTS[option.name or ""].join(map(str, value)) if isinstance(value, list) else value


def _names_a_place(option: click.Option) -> bool:
    """Whether an option sets an output, an address, or a run to resume.

    The options file may belong to a folder that the user merely entered. Options that name files count as outputs,
    unless they are known inputs.
    """
    if isinstance(option.type, click.Path):
        return option.name not in READ
    return option.metavar == "ADDRESS" or option.name == "resume"


def _require_kind(option: click.Option, value: object, path: Path, field: str) -> None:
    """Refuse values that click would misread or fail on."""
    if isinstance(value, list) and not option.multiple and option.name not in LISTS:
        raise FileError(path, "must be one value, not a list", field=field)
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, str | int | float):
            kind = _KINDS.get(type(each).__name__, type(each).__name__)
            raise FileError(
                path, f"must be a text, a number, true or false, or a list of these, not {kind}", field=field
            )
        if isinstance(each, str) and "\0" in each:
            raise FileError(path, "must not contain the character NUL", field=field)
        expected, fits = _expected(option, each)
        if option.is_flag and isinstance(each, str):
            fits = path.suffix == ".cfg"  # all its values are strings
        if not fits or not _is_readable(option, each):
            raise FileError(path, f"must be {expected}, not {each!r:.40}", field=field)
        try:
            option.type.convert(each, option, None)
        except click.BadParameter as error:
            raise FileError(path, error.message.rstrip("."), field=field) from error


def _is_readable(option: click.Option, value: str | float) -> bool:
    """Whether a value parses as a number or Boolean, even if it is out of the option's range."""
    plain: click.ParamType[Any] | None = None
    if option.is_flag:
        plain = click.BOOL
    elif isinstance(option.type, click.types.IntParamType):
        plain = click.INT
    elif isinstance(option.type, click.types.FloatParamType):
        plain = click.FLOAT
    try:
        return plain is None or plain.convert(value, option, None) is not None
    except (click.BadParameter, OverflowError):
        return False


def _expected(option: click.Option, value: str | float) -> tuple[str, bool]:
    """Description of the values that an option accepts, and whether a value is one; strings are parsed."""
    if option.is_flag:
        return "true or false", isinstance(value, bool | str)
    if isinstance(option.type, click.Path | click.Choice):
        return "a text", isinstance(value, str)
    if isinstance(option.type, click.types.IntParamType):
        return "a whole number", isinstance(value, int | str) and not isinstance(value, bool)
    if isinstance(option.type, click.types.FloatParamType):
        return "a number", not isinstance(value, bool) and (not isinstance(value, int) or abs(value) < 1 << 1000)
    return "a text or a number", not isinstance(value, bool)


_KINDS = {"dict": "a table", "list": "a list", "datetime": "a date", "date": "a date", "time": "a time"}

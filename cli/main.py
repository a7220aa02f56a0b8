"""The command ``pisnn-deploy``. Commands are imported only when they are called, so that ``--help`` is quick."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import click
from click.core import ParameterSource

from pisnn_deploy import __version__
from pisnn_deploy.cli.interrupts import INTERRUPTED, Interrupts
from pisnn_deploy.cli.messages import (
    PrintableFormatter,
    make_warnings_printable,
    print_message,
    show_wrong_usage,
    with_options,
)
from pisnn_deploy.cli.options import HELP
from pisnn_deploy.core.docstrings import docstring
from pisnn_deploy.core.errors import FileError, PisnnError
from pisnn_deploy.core.limits import (
    MEGABYTE,
    is_lack_of_files,
    is_lack_of_memory,
    live_within_limits,
    memory_limit,
    require_memory,
)
from pisnn_deploy.core.suggestions import did_you_mean
from pisnn_deploy.core.surroundings import shut_out_current_folder

COMMANDS: Mapping[str, str] = {
    "models": "List the models and laws of the zoo, or show one.",
    "new": "Write a commented starter of a law, recipe, profile or plan.",
    "law": "Explain the recipe of a conservation law.",
    "train": "Train a model from a recipe.",
    "compile": "Compile a model to an artifact.",
    "simulate": "Run an artifact and audit every step.",
    "serve": "Watch and steer a run in a browser.",
    "audit": "Audit how well anybody's trajectory conserves.",
    "converge": "Measure the order of convergence on several meshes.",
    "campaign": "Run many cases on a Dask cluster and tabulate the results.",
    "verify": "Prove an artifact's certificate again.",
    "sign": "Sign an artifact.",
    "keygen": "Make a pair of keys to sign artifacts with.",
    "check": "Check an artifact against hardware profiles.",
    "estimate": "Estimate time and energy of a PDE step on every target.",
    "export": "Export an artifact to another format.",
    "inspect": "Show what an artifact contains.",
    "profiles": "List, show or validate hardware profiles.",
    "doctor": "Check what works on this machine.",
    "completion": "Print a shell completion script.",
}
"""Each command with its line in ``--help``; the module of the same name holds it."""
Options = list[tuple[str, tuple[str, object]]]
"""Options from a file: the long name of each, with the name and the value of its parameter."""
REST = "pisnn-deploy words"
"""Key in the context of the words typed after the name of the command."""
UNUSABLE = 2
INTERRUPTS = Interrupts()
OUTPUT_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
SHOWN_NAME = 40
"""Characters that a message shows of a name that is too long."""
LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"


def documented(command: click.Command) -> click.Command:
    """Restore a command's help if the interpreter dropped docstrings.

    Parameters
    ----------
    command : click.Command
        The command with its subcommands.

    Returns
    -------
    click.Command
        The same command.
    """
    if command.help is None and command.callback is not None:
        command.help = docstring(command.callback)
    for subcommand in command.commands.values() if isinstance(command, click.Group) else ():
        documented(subcommand)
    return command


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of the commands, in the order of work."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in COMMANDS:
            return None
        require_memory(name)
        module = importlib.import_module(f"pisnn_deploy.cli.commands.{name}")
        INTERRUPTS.has_begun = True
        return documented(cast(click.Command, module.command))

    def resolve_command(
        self, context: click.Context, words: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and note the arguments typed after its name."""
        if words and words[0] not in COMMANDS and not words[0].startswith("-"):
            context.fail(f"No such command {words[0]!r}{did_you_mean(words[0], COMMANDS)}.")
        name, command, rest = super().resolve_command(context, words)
        context.meta[REST] = tuple(rest)
        return name, command, rest

    def invoke(self, context: click.Context) -> object:
        """Run a command; in its errors, options replace field names."""
        try:
            return super().invoke(context)
        except PisnnError as error:
            for part in {error, *error.parts}:
                part.args = (with_options(str(part)),)
            raise

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings=HELP)
@click.version_option(__version__, prog_name="pisnn-deploy")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of defaults for options (default: pisnn.toml or setup.cfg in the current folder).",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Log level for stderr; debug adds a traceback to errors.",
)
@click.pass_context
def group(context: click.Context, config: Path | None, log_level: str) -> None:
    """Deploy physics-informed spiking neural networks as integers that conserve mass exactly.

    \b
    Examples:
      pisnn-deploy simulate
      pisnn-deploy compile model.pt --profile loihi2
      pisnn-deploy simulate model.pisnn --backend cpu --plot run.png
      pisnn-deploy verify model.pisnn
      pisnn-deploy check model.pisnn --profile loihi2

    Put project defaults in pisnn.toml, one table per command ([compile] profile = "loihi2", mesh = [64, 64]), or in
    setup.cfg ([pisnn-deploy.compile]), in the current folder. Output paths, --scheduler and --resume are read only from
    a file given by --config.

    Exit codes: 0 fine, 1 a check or verification failed, 2 wrong usage or input, 130 interrupted.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(LOG_FORMAT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("pisnn_deploy").setLevel(log_level.upper())
    _set_defaults(context, config)


def _set_defaults(context: click.Context, config: Path | None) -> None:
    """Set the called command's defaults from an options file."""
    from pisnn_deploy.cli.config import defaults_of, find_config, read_config

    default_path = find_config(Path()) if config is None else None
    path = config or default_path
    name = context.invoked_subcommand
    if path is None or name is None:
        return
    sections = read_config(path)
    for section in sections:
        if section not in COMMANDS:
            raise FileError(path, f"unknown command; expected one of {', '.join(COMMANDS)}", field=section)
    command = group.get_command(context, name)
    if name in sections and command is not None:
        defaults = defaults_of(command, sections[name], path, named=default_path is None)
        context.default_map = {name: defaults}
        if default_path is not None:
            _report_options(context, command, list(zip(sections[name], defaults.items(), strict=True)), default_path)


def _report_options(context: click.Context, command: click.Command, options: Options, path: Path) -> None:
    """Report options that come from a file the user did not name, unless ``--quiet`` is given."""
    with command.make_context(command.name, list(context.meta[REST]), parent=context, resilient_parsing=True) as parsed:
        typed = {name for name in parsed.params if parsed.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    arguments = [
        f"--{long}" if each is True else f"--{long} {each}"
        for long, (name, value) in options
        if name not in typed
        for each in (value if isinstance(value, list) else [value])
    ]
    if arguments and "quiet" not in typed:
        print_message(f"{command.name} takes from {path}: {' '.join(arguments)}")


def main() -> None:
    """Run the command line and exit."""
    shut_out_current_folder()
    live_within_limits()
    with INTERRUPTS.heard():
        code = _run(INTERRUPTS)
    sys.exit(code)


def _run(interrupts: Interrupts) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal cannot encode must not lose a result.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    make_warnings_printable()
    documented(group)
    code: object = 0
    try:
        code = group.main(standalone_mode=False)
    except SystemExit:
        raise
    # Every exception is meant: an interrupt reaches this as any of a library's, and `_exit_code` raises defects again.
    except BaseException as error:
        interrupts.end()
        # Libraries may have turned the interrupt into another exception.
        if not interrupts.happened and not isinstance(error, click.Abort | KeyboardInterrupt):
            return _exit_code(error)
        interrupts.happened = True
    interrupts.end()
    if interrupts.happened:
        with contextlib.suppress(OSError):
            print_message("interrupted")
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _exit_code(error: BaseException) -> int:
    """Print what went wrong and return the exit code; defects of this program are raised again."""
    if isinstance(error, click.ClickException):
        show_wrong_usage(error)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # The pipe was closed; the interpreter must not fail on it at exit either.
        _forget_output()
        return 0
    logging.getLogger(__name__).debug("where the error arose", exc_info=error)
    if isinstance(error, PisnnError):
        problems, code = [str(part) for part in error.parts], error.exit_code
    else:
        problems, code = [_lack(error)], UNUSABLE
    if not any(problems):
        raise error
    # stderr may be full as well.
    with contextlib.suppress(OSError):
        for problem in problems:
            print_message(f"error: {problem}")
    if not isinstance(error, PisnnError):
        _forget_output()
    return code


def _lack(error: BaseException) -> str:
    """The message for a lack of memory, open files or disk space, or a long name; empty for other errors."""
    if is_lack_of_memory(error):
        return "memory ran out; choose a coarser --mesh, or allow the process more"
    if is_lack_of_files(error):
        return "too many files are open at once; allow the process more (ulimit -n)"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)[:SHOWN_NAME]}...: the name is too long for a file"
    if isinstance(error, OSError) and error.errno in OUTPUT_FULL and error.filename is None:
        return f"output cannot be written ({error.strerror})"
    limit = memory_limit()
    if limit is not None and isinstance(error, Exception):
        # Libraries fail in many ways if memory runs out.
        kind = type(error).__name__
        allowed = f"the process may take {limit // MEGABYTE} MB (ulimit -v)"
        return f"{kind} where {allowed}; allow it more, or see --log-level debug"
    return ""


def _forget_output() -> None:
    if sys.stdout is not None:  # the caller may have closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()

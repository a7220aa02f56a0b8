"""Write the manual of neurons from the language and the programs of `pisnn_deploy.programs.neurons`."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pisnn_deploy.core.docstrings import docstring
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.programs import language, limiter, neurons
from pisnn_deploy.programs.language import Program

_PREFACE = f"""\
# Neurons

This page is generated from the code. To update it, run
`python -m pisnn_deploy.programs.manual docs/reference/neurons.md`; a test compares them.

Each neuron is a program: a sequence of at most {language.MAX_OPERATIONS} operations on signed integers, without loops
and jumps. All backends, proofs and exports use this text, and artifacts store it. A program has ports (inputs of this
step), states (kept from step to step) and parameters (a constant for each neuron).
See [how readers work](../architecture.md) and [how artifacts store programs](artifact.md).

A new kind of neuron takes a function in `pisnn_deploy/programs/neurons.py` that returns its program, and an update of
this page. All backends run it; bounds and conservation are proved. Claims that no theorem covers for a new program,
such as the time step, stability and the equation, are left out, and `pisnn-deploy verify` says so.

## Operations
Proofs use Python integers. A reader may use narrower words if all values are proved to fit, of at most
{language.WORD_BITS} signed bits. Shifts are constants from 0 to {language.MAX_SHIFT} bits,
and at least 1 for `fire`. Tables have 1 to {language.MAX_TABLE_ENTRIES} entries of at most
{language.MAX_TABLE_BITS} signed bits.

| operation | result and rounding |
| --- | --- |
"""
_EXAMPLE = 8
"""Value of every numeric parameter in the examples."""
_SHOWN_ENTRIES = 4
"""Entries of a long table that the page shows at each end."""


def manual() -> str:
    """Return the page as Markdown.

    Returns
    -------
    str
        Content of the file ``neurons.md``.
    """
    rows = [f"| {' '.join(f'`{name}`' for name in names.split())} | {text} |\n" for names, text in _operations()]
    intro = f"\n## Programs\nIn the examples every numeric parameter is {_EXAMPLE}.\n"
    return _PREFACE + "".join(rows) + intro + "".join(_section(make) for make in makers())


def makers() -> tuple[Callable[..., Program], ...]:
    """Return the functions of `pisnn_deploy.programs.neurons` that return a program, in the order of the file.

    The answers of a limiter's cells come last.
    """
    functions = [make for _, make in inspect.getmembers(neurons, inspect.isfunction)]
    defined_there = [make for make in functions if make.__module__ == neurons.__name__]
    programs = [make for make in defined_there if make.__annotations__.get("return") == Program.__name__]
    return (*sorted(programs, key=lambda make: make.__code__.co_firstlineno), limiter.answer)


def _operations() -> Iterator[tuple[str, str]]:
    """Yield names and meaning of each row of the table in the docstring of the language."""
    rows: list[list[str]] = []
    _, table, _ = re.split(r"^=+  =+$", inspect.cleandoc(language.__doc__ or ""), flags=re.MULTILINE)
    for line in table.strip("\n").split("\n"):
        if line.startswith(" "):
            rows[-1][1] += f" {line.strip()}"
        else:
            rows.append(re.split(r"  +", line, maxsplit=1))
    for names, text in rows:
        yield names.strip("`"), text.replace("``", "`").replace("|", "\\|")


def _section(make: Callable[..., Program]) -> str:
    text, _, parameters = docstring(make).partition("\nParameters\n----------\n")
    body = text.strip().replace("\n::\n\n", "\n").replace("``", "`")
    parts = [f"\n### `{make.__name__}`\n{body}\n"]
    if parameters:
        parts.append(f"\n{_parameters(parameters)}")
    parts += [f"\n```text\n{_shortened(program)}\n```\n" for program in _examples(make)]
    return "".join(parts)


def _parameters(section: str) -> str:
    """Convert a numpydoc section to a Markdown list."""
    items: list[str] = []
    for line in section.strip().split("\n"):
        if line.startswith(" "):
            items[-1] += f" {line.strip()}".replace("``", "`")
        else:
            items.append(f"- `{line.partition(' : ')[0]}`:")
    return "\n".join(items) + "\n"


def _shortened(program: Program) -> str:
    """Text of a program, with the ends of long tables alone."""
    text = str(program)
    for table in program.tables:
        words = [str(entry) for entry in table.entries]
        if len(words) > 2 * _SHOWN_ENTRIES:
            ends = " ".join((*words[:_SHOWN_ENTRIES], "...", *words[-_SHOWN_ENTRIES:]))
            text = text.replace(" ".join(words), ends)
    return text


def _examples(make: Callable[..., Program]) -> Iterator[Program]:
    """Yield the program with required parameters only, and with all."""
    parameters = inspect.signature(make).parameters.values()
    values = {parameter.name: _values().get(parameter.name, _EXAMPLE) for parameter in parameters}
    needed = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
    yield make(**{name: value for name, value in values.items() if name in needed})
    if len(needed) < len(values):
        choices = (
            [values] if "limiter" not in values else [values | {"sees_residues": False}, values | {"limiter": None}]
        )
        yield from (make(**chosen) for chosen in choices)


def _values() -> dict[str, object]:
    """Values of parameters that are no numbers."""
    switches = dict.fromkeys(("sees_residues", "has_low", "has_ceiling"), True)
    return {"limiter": limiter.FaceLimiter("both", _EXAMPLE, True), **switches}


def main(words: list[str]) -> None:
    """Write the page into a file, or print it.

    Parameters
    ----------
    words : list of str
        Command-line arguments.
    """
    parser = argparse.ArgumentParser(description="Write the manual of neurons.")
    parser.add_argument("page", nargs="?", type=Path, help="file to write to (default: print the page)")
    page = parser.parse_args(words).page
    if page is None:
        print(manual(), end="")
    else:
        write_whole(page, manual().encode())


if __name__ == "__main__":
    main(sys.argv[1:])

"""How long functions and files of the package and the command line may be, and how many parameters a function takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMITS = {"lines of a file": 400, "lines": 80, "parameters": 8}


@dataclass(frozen=True)
class Excess:
    """A file or function beyond a limit."""

    place: str
    what: str
    count: int = field(default=0, compare=False)


LARGER: set[Excess] = set()
"""What was larger when the limits were set. Entries go as places shrink; nothing may be added."""


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Commands of click take a parameter an option and have a line for each."""
    return any(word in ast.unparse(line) for line in function.decorator_list for word in ("click.", ".command("))


def excesses(name: str, source: str) -> Iterator[Excess]:
    sizes = [Excess(name, "lines of a file", len(source.splitlines()))]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not is_command(node):
            place, arguments = f"{name}: {node.name}", node.args
            parameters = {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
            sizes += [
                Excess(place, "lines", (node.end_lineno or 0) - node.lineno + 1),
                Excess(place, "parameters", len(parameters - {"self", "cls"})),
            ]
    yield from (size for size in sizes if size.count > LIMITS[size.what])


def test_functions_and_files_stay_within_the_limits() -> None:
    paths = sorted(path for folder in ("pisnn_deploy", "cli") for path in (ROOT / folder).rglob("*.py"))
    found = {excess for path in paths for excess in excesses(str(path.relative_to(ROOT)), path.read_text())}
    assert paths and found - LARGER == set()


def test_an_excess_is_seen() -> None:
    parameters = ", ".join(f"p{number}" for number in range(9))
    assert [str(excess.count) for excess in excesses("a.py", f"def f({parameters}): ...")] == ["9"]
    body = " x\n" * 80
    assert set(excesses("a.py", f"def f():\n{body}")) == {Excess("a.py: f", "lines")}
    assert set(excesses("a.py", "x = 1\n" * 401)) == {Excess("a.py", "lines of a file")}
    assert list(excesses("a.py", f"@click.command()\ndef f({parameters}): ...")) == []

"""Entries of docstrings say something, or are left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import griffe
import pytest

REPOSITORY = Path(__file__).parents[1]
ROOTS = ("pisnn_deploy", "cli", "benchmarks", "fuzz", "release")
SECTIONS = {
    griffe.DocstringSectionKind.parameters,
    griffe.DocstringSectionKind.other_parameters,
    griffe.DocstringSectionKind.attributes,
    griffe.DocstringSectionKind.returns,
    griffe.DocstringSectionKind.yields,
    griffe.DocstringSectionKind.raises,
}


def _empty_entries(source: str) -> Iterator[str]:
    """Entries without a description, as ``function: section: entry``."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node)
        for section in griffe.Docstring(docstring or "").parse("numpy", warnings=False):
            if section.kind not in SECTIONS:
                continue
            for entry in section.value:
                if not entry.description.strip():
                    name = getattr(entry, "name", "") or entry.annotation
                    yield f"{getattr(node, 'name', 'module')}: {section.kind.value}: {name}"


@pytest.mark.parametrize("root", ROOTS)
def test_each_entry_has_a_description(root: str) -> None:
    files = sorted((REPOSITORY / root).rglob("*.py"))
    assert files
    empty = [f"{_within(file)}: {entry}" for file in files for entry in _empty_entries(file.read_text())]
    assert empty == []


def _within(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


def test_an_entry_without_a_description_is_seen() -> None:
    source = '''
def function(size: int, name: str) -> int:
    """Do something.

    Parameters
    ----------
    size : int
        In bytes.
    name : str

    Returns
    -------
    int
    """
'''
    assert list(_empty_entries(source)) == ["function: parameters: name", "function: returns: int"]

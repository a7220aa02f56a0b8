"""Artifacts of version 5 are the graphs that they were: each of them is compiled again and compared."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_under_test import binary_box, compiled, heat_model, hidden_model, stock_box
from two_point_graphs import base

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact
from pisnn_deploy.verify import check_certificate

FOLDER = Path(__file__).parent / "version5"
COMPILED: dict[str, Callable[[], IntegerGraph]] = {
    "leak": lambda: compiled(heat_model(leak=900), 6, "dirichlet=0.5,1"),
    "hidden": lambda: compiled(hidden_model((2,)), 5, "no-flux"),
    "late": lambda: stock_box(shape=(6,), send_threshold=3),
    "binary": lambda: binary_box(heat_model(), (6,), "periodic"),
    "line": lambda: base("line"),
    "alike": lambda: base("alike"),
    "cells": lambda: base("cells"),
}


def test_a_limiter_of_equal_shares_is_refused_in_one_line() -> None:
    with pytest.raises(FileError) as refused:
        read_artifact(FOLDER / "refused" / "limited.pisnn")
    assert str(refused.value).endswith(
        "graph.json: flux: a limiter of equal shares is not supported; compile the model again"
    )


@pytest.mark.parametrize("name", COMPILED)
def test_a_graph_of_version_5_is_what_is_compiled_today(name: str) -> None:
    read = read_artifact(FOLDER / f"{name}.pisnn")
    # Summaries of passes are words; these counted "1 cores".
    graph = replace(read.graph, history=COMPILED[name]().history)
    assert [record.name for record in graph.history] == [record.name for record in read.graph.history]
    assert artifact_bytes(graph, {}) == artifact_bytes(COMPILED[name](), {})
    assert not read.broken_seal and all(finding.holds for finding in check_certificate(read.graph, read.altered))


def altered(change: Callable[[dict[str, Any]], object], path: Path, name: str = "leak") -> str:
    """What is said of an artifact of version 5 whose ``graph.json`` was changed."""
    with zipfile.ZipFile(FOLDER / f"{name}.pisnn") as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "graph.json":
                described = json.loads(content)
                change(described)
                content = json.dumps(described).encode()
            new.writestr(member, content)
    with pytest.raises(FileError) as refused:
        read_artifact(path)
    text = str(refused.value).removeprefix(f"{path}: ")
    assert "\n" not in text
    return text.removesuffix("; compile the model again")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g: g.pop("flux"), "graph.json: flux: is missing"),
        (lambda g: g.update(populations=[]), "graph.json: populations: is unknown in version 5"),
        (lambda g: g["flux"].update(leak="4096"), "graph.json: is not a document of version 5 ('4096' is not a whole"),
        (
            lambda g: g["flux"].update(leak=0),
            "graph.json: is not a document of version 5 (0 is not a whole number",
        ),
        (
            lambda g: g["flux"].update(share_shift=1),
            "graph.json: flux: a limiter of equal shares is not supported",
        ),
        (lambda g: g["flux"].update(ghost=1), "graph.json: flux: ghost, leak, threshold_exponent are not"),
        (lambda g: g.update(mesh=5), "graph.json: is not a document of version 5 ("),
        (lambda g: g["mesh"].update(shape=[1 << 40]), "arrays/membrane.initial.npy has 6 cells, the mesh 10995116277"),
        (lambda g: g.update(stock={"send_threshold": 3}), "graph.json: stock: a graph of stock processes has"),
        (lambda g: g.update(hidden=[{"name": "hidden1", "shift": 3}]), "arrays/hidden1.bias.npy: is missing"),
        (lambda g: g["synapses"][0].update(kind="ghost"), "synapse membrane-to-flux: connections of kind 'ghost' and"),
        (lambda g: g["synapses"][0].update(parts={}), "graph.json: synapse membrane-to-flux: parts: is unknown"),
        (lambda g: g["window"].update(lower="0"), "graph.json: fields.0.window.lower: must be a whole number"),
        (lambda g: g.update(quantum=-1.0), "graph.json: fields.0.quantum: must be greater than 0, not -1.0"),
        (lambda g: g["noted"]["passes"].append(1), "graph.json: is not a document of version 5 ("),
    ],
)
def test_a_damaged_document_of_version_5_is_one_line(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    assert altered(change, tmp_path / "a.pisnn").startswith(said)


def test_a_reservoir_for_each_of_many_neurons_is_refused_before_there_is_one(tmp_path: Path) -> None:
    path, buffer = tmp_path / "a.pisnn", io.BytesIO()
    np.save(buffer, np.array([[0, 1 << 31]]))
    with zipfile.ZipFile(FOLDER / "leak.pisnn") as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            if member != "arrays/membrane.reservoirs.npy":
                new.writestr(member, old.read(member))
        new.writestr("arrays/membrane.reservoirs.runs.npy", buffer.getvalue())
    with pytest.raises(FileError, match=r"populations\.0\.size: 2147483654 neurons are too many for a file of "):
        read_artifact(path)

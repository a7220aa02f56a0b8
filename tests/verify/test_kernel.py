"""The kernel accepts what the compiler wrote, and refuses changes that make a claim wrong, also with a fresh seal."""

from __future__ import annotations

import ast
import random
import runpy
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laws_compiled import compiled_law
from models_under_test import (
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    laplace_model,
    plane_model,
    seeing_box,
    stock_box,
)
from resealed import KINDS, Members, array, document, members_of, mutant, with_array, with_document, written
from two_point_graphs import base

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.kernel import check, main
from pisnn_deploy.verify.plain_artifact import OPERATIONS, Program, Refused, intervals
from pisnn_deploy.verify.programs import read, whole
from pisnn_deploy.verify.standalone import standalone_checker

GRAPHS: dict[str, Callable[[], IntegerGraph]] = {
    "line": lambda: compiled(cells=16),
    "sides": lambda: compiled(cells=12, boundary="dirichlet=0.5,1"),
    "leak": lambda: compiled(heat_model(leak=900), 9, "dirichlet=0.5,1.5"),
    "hidden": lambda: compiled(hidden_model((3,)), 9, "no-flux", "dense"),
    "positive": lambda: compiled(cells=12, boundary="dirichlet=0.5,1", limiter="positivity"),
    "damped": lambda: compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"),
    "plane": lambda: compiled_box(plane_model(), (5, 6), "x=periodic y=no-flux"),
    "seeing": seeing_box,
    "stock": stock_box,
    "conductivity": lambda: base("alike"),
    "capacities": lambda: base("plane"),
    "digits": lambda: base("digits"),
    "triangles": lambda: base("several"),
    "waves": lambda: compiled_law("wave1d", (16,)),
    "walls": lambda: compiled_law("advection_diffusion2d", (4, 4)),
}


@cache
def members(name: str) -> Members:
    return members_of(GRAPHS[name]())


def verdict(path: Path) -> tuple[int, str]:
    """Exit code of the kernel, and its sentence."""
    try:
        check(str(path))
    except Refused as refused:
        text, code = refused.args
        assert "\n" not in text
        return code, text
    return 0, ""


def wider(path: Path) -> tuple[int, str]:
    """Exit code of the checker of the whole certificate, and the claim that it rejects first."""
    try:
        artifact = read_artifact(path)
    except FileError:
        return 2, ""
    wrong = [finding.claim for finding in check_certificate(artifact.graph, artifact.altered) if not finding.holds]
    return (1, wrong[0]) if wrong else (0, "")


@pytest.mark.parametrize("name", GRAPHS)
def test_what_the_compiler_wrote_is_accepted(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.pisnn", members(name))
    assert verdict(path) == (0, "") and wider(path) == (0, "")


PROVED_BY_BOTH = ("seal", "conservation", "bounds")


@pytest.mark.parametrize("kind", KINDS)
def test_kernel_and_checker_agree_on_mutants(kind: str, tmp_path: Path) -> None:
    draw, judged = random.Random(kind), 0
    for number in range(39):
        changed = mutant(members(list(GRAPHS)[number % len(GRAPHS)]), kind, draw)
        if changed is not None:
            path = written(tmp_path / "a.pisnn", changed)
            (ours, text), (theirs, claim) = verdict(path), wider(path)
            judged += 1
            # What the kernel refuses is wrong, and what only conservation and widths speak against, it refuses.
            assert theirs or not ours, text
            is_left = not ours and any("the bound of" in left for left in check(str(path)))
            assert ours or claim not in PROVED_BY_BOTH or is_left, claim
    assert judged > 4


SCALARS = (-9, -2, -1, 0, 1, 2, 7)


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_interval_of_an_operation_is_its_hull(op: str) -> None:
    """Of all operands in small boxes, an operation has no value beyond its interval, and with one point it is exact."""
    name = "fire" if op == "rest" else op
    count = (OPERATIONS[op].__code__.co_argcount - 1) // 2
    extra = {"shl": ", 2", "asr": ", 1", "mul_shr": ", 1", "fire": ", 2", "table": ", t"}.get(name, "")
    names, table = ["a", "b", "c"][:count], ["table t = 5 -3 8"] if name == "table" else []
    results = "k, r" if name == "fire" else "k"
    lines = [f"neuron n({', '.join(names)}; ; )", *table, f"{results} = {name}({', '.join(names)}{extra})", "send k"]
    program, reading = Program(lines), read("\n".join(lines))
    boxes = random.Random(op).choices([(a, b) for a in SCALARS for b in SCALARS if a <= b], k=60)
    for spans in zip(*[iter(boxes)] * count, strict=False):
        low, high = intervals(program, dict(zip(names, spans, strict=True)))["r" if op == "rest" else "k"]
        values = [
            whole(reading, dict(zip(names, point, strict=True)))["r" if op == "rest" else "k"]
            for point in np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in spans)), -1).reshape(-1, count).tolist()
        ]
        assert low <= min(values) <= max(values) <= high
        assert (low, high) == (values[0], values[0]) or len(values) > 1 or op == "rest"


def program_of(*lines: str) -> Program:
    return Program(["neuron n(a; s; p)", *lines])


@pytest.mark.parametrize(
    "lines",
    [
        ["keep s = a", "keep s = a", "send a"],
        ["keep s = a", "send a", "send a"],
        ["send a"],
        ["keep s = b", "send a"],
        ["a = neg(p)", "keep s = a"],
        ["send = neg(p)", "keep s = a"],
        ["b = shl(a, 31)", "keep s = a"],
        ["b, c = fire(a, 0)", "keep s = a"],
        ["b = fire(a, 2)", "keep s = a"],
        ["b = add(a)", "keep s = a"],
        ["b = div(a, p)", "keep s = a"],
        ["b = add(a, c)", "keep s = a"],
    ],
)
def test_programs_that_are_none_are_refused(lines: list[str]) -> None:
    with pytest.raises((Refused, KeyError, ValueError, AttributeError)):
        program_of(*lines)


def test_values_beyond_a_word_are_refused() -> None:
    for line in ("b = shl(a, 30)", "b = mul_shr(a, a, 30)", "b, c = fire(a, 30)"):
        limits = {"a": (0, (1 << 62) + (1 << 61)), "s": (0, 0), "p": (0, 0)}
        program = program_of(line, "keep s = a", "send b")
        with pytest.raises(Refused, match="64 bits"):
            intervals(program, limits if "fire" not in line else {**limits, "a": (0, (1 << 63) - 1)})


def test_a_reset_keeps_less_than_its_threshold() -> None:
    lines = ["z = abs(a)", "c = ge(z, 5)", "k = select(c, a, 0)", "r = sub(a, k)", "keep s = r", "send k"]
    inputs = {"a": (-90, 90), "s": (0, 0), "p": (0, 9)}
    assert intervals(program_of(*lines), inputs)["r"] == (-4, 4)
    for other in ("c = ge(z, p)", "c = ge(z, 0)", "c = lt(z, 5)", "c = ge(p, 5)"):
        assert intervals(program_of(lines[0], other, *lines[2:]), inputs)["r"] == (-180, 180)
    assert intervals(program_of(*lines[:2], "k = select(c, p, 0)", *lines[3:]), inputs)["r"] == (-99, 90)


Change = Callable[[Members], Members]


def in_graph(change: Callable[[Any], object]) -> Change:
    def changed(of: Members) -> Members:
        graph = document(of)
        change(graph)
        return with_document(of, graph)

    return changed


def claimed(change: Callable[[Any], object]) -> Change:
    def changed(of: Members) -> Members:
        certificate = document(of, "certificate.json")
        change(certificate)
        return with_document(of, certificate, "certificate.json")

    return changed


def put(name: str, at: int, value: int) -> Change:
    def changed(of: Members) -> Members:
        values = array(of, name)
        values.reshape(-1)[at] = value
        return with_array(of, name, values)

    return changed


def replaced(place: Any, name: str | int, value: object) -> None:
    place[name] = value


def bound(graph: Any, population: str, quantity: str) -> Any:
    return next(b for b in graph["bounds"] if (b["population"], b["quantity"]) == (population, quantity))


def started(of: Members) -> Members:
    """Packets fire from a residue that is beyond the bound of residues."""
    name = "populations.flux.start.residue_before"
    graph = document(of)
    flux = next(p for p in graph["populations"] if p["name"] == "flux")
    flux["start"] = {"residue_before": name}
    return with_array(with_document(of, graph), name, np.full(flux["size"], 1 << 20))


WRONG: dict[str, tuple[str, Change, str]] = {
    "a route of the mesh": ("line", put("synapses.route.parts.mantissas", 0, 4), "route does not bring packets"),
    "a route to another cell": ("walls", put("synapses.u-flux-to-u.parts.columns", 3, 5), "where its channel does not"),
    "two routes": (
        "line",
        in_graph(lambda g: g["synapses"].append({**g["synapses"][-1], "name": "again"})),
        "again does not bring packets",
    ),
    "a holder that leaks": (
        "line",
        in_graph(lambda g: replaced(g["populations"][0]["program"], 1, "mass = sub(mass_before, arrival)")),
        "membrane does more than add",
    ),
    "something else than packets": (
        "positive",
        in_graph(lambda g: replaced(g["synapses"][-1], "output", 1)),
        "something else than packets",
    ),
    "a narrow bound": (
        "line",
        in_graph(lambda g: replaced(bound(g, "flux", "packet"), "upper", 5)),
        "flux packet ranges from",
    ),
    "bits": ("line", in_graph(lambda g: replaced(bound(g, "flux", "packet"), "bits", 5)), "does not fit its bits"),
    "no bound": (
        "line",
        in_graph(lambda g: g["bounds"].remove(bound(g, "flux", "packet"))),
        "flux packet has no bound",
    ),
    "a bound of nothing": (
        "line",
        in_graph(lambda g: g["bounds"].append({**g["bounds"][0], "quantity": "size"})),
        "no quantity membrane size",
    ),
    "a state without a bound": (
        "line",
        in_graph(lambda g: g["bounds"].remove(bound(g, "flux", "residue"))),
        "state residue_before of flux has no bound",
    ),
    "a value that is heard without a bound": (
        "positive",
        in_graph(lambda g: g["bounds"].remove(bound(g, "flux", "backward"))),
        "flux backward has no bound",
    ),
    "a state that does not start at 0": ("line", started, "flux does not start at 0"),
    "masses of fewer bits on a mesh with sides": (
        "sides",
        in_graph(lambda g: replaced(bound(g, "membrane", "mass"), "upper", 9)),
        "membrane mass ranges from 0 to",
    ),
    "odd weights": (
        "line",
        lambda of: put("synapses.membrane-to-flux.parts.mantissas", 0, 3)(
            in_graph(lambda g: replaced(g["synapses"][0], "exponent", 0))(of)
        ),
        "clear the lowest bit",
    ),
    "a ledger of few bits": (
        "sides",
        in_graph(lambda g: bound(g, "membrane", "ledger").update(upper=1000, lower=-1000)),
        "less than all of its bits",
    ),
    "ledger steps": (
        "sides",
        claimed(lambda c: replaced(c["conservation"]["figures"], "ledger_steps", 1 << 50)),
        "the graph has the figures",
    ),
    "sets": (
        "waves",
        claimed(lambda c: replaced(c["conservation"]["figures"], "sets", 3)),
        "the graph has the figures",
    ),
    "overflow": (
        "waves",
        claimed(lambda c: replaced(c["overflow"]["figures"], "fields", 3)),
        "overflow: the graph has",
    ),
    "no certificate": ("line", lambda of: {**of, "certificate.json": b"{}\n"}, "seal"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_claim_is_refused_with_what_and_where(case: str, tmp_path: Path) -> None:
    name, change, text = WRONG[case]
    path = written(tmp_path / "a.pisnn", change(members(name)), sealed=case != "no certificate")
    code, sentence = verdict(path)
    assert (code, text in sentence) == (1, True), sentence


def test_a_changed_byte_breaks_the_seal(tmp_path: Path) -> None:
    changed = put("populations.membrane.start.mass_before", 0, 7)
    of = written(tmp_path / "a.pisnn", members("line"))
    with zipfile.ZipFile(of) as archive:
        sealed = {name: archive.read(name) for name in archive.namelist()}
    path = written(tmp_path / "b.pisnn", changed(sealed), sealed=False)
    assert verdict(path) == (1, "seal: arrays/populations.membrane.start.mass_before.npy is not what was sealed")
    del sealed["arrays/populations.membrane.start.mass_before.npy"]
    assert verdict(written(tmp_path / "c.pisnn", sealed, sealed=False))[0] == 1


NPY = "arrays/synapses.membrane-to-flux.parts.mantissas.npy"
DAMAGED: dict[str, Change] = {
    "no document": lambda of: {name: content for name, content in of.items() if name != "provenance.json"},
    "a pickle": lambda of: {**of, "arrays/data.pkl": b"\x80\x04."},
    "a folder": lambda of: {**of, "arrays/a/b.npy": b""},
    "objects": lambda of: {**of, NPY: of[NPY].replace(b"'<i8'", b"'|O' ")},
    "a short array": lambda of: {**of, NPY: of[NPY][:-8]},
    "version 2 of numpy": lambda of: {**of, NPY: b"\x93NUMPY\x02" + of[NPY][7:]},
    "a table": lambda of: with_array(of, NPY[7:-4], array(of, NPY[7:-4])[:, None]),
    "no array": lambda of: {name: content for name, content in of.items() if name != NPY},
    "NaN": lambda of: {**of, "graph.json": of["graph.json"].replace(b'"lines":0', b'"lines":NaN')},
    "a truth value": lambda of: {**of, "graph.json": of["graph.json"].replace(b'"exponent":-1', b'"exponent":true')},
    "a name twice": lambda of: {**of, "graph.json": of["graph.json"].replace(b'"lines":0', b'"lines":0,"lines":0')},
    "a list": lambda of: {**of, "graph.json": b"[]"},
    "a large document": lambda of: {**of, "graph.json": of["graph.json"] + b" " * (1 << 26)},
    "a fraction": in_graph(lambda g: replaced(g["bounds"][0], "lower", 0.5)),
    "another version": in_graph(lambda g: replaced(g, "version", 7)),
    "two populations": in_graph(lambda g: g["populations"].append(g["populations"][0])),
    "no cells": in_graph(lambda g: replaced(g["mesh"], "shape", [0])),
    "a huge mesh": in_graph(lambda g: replaced(g["mesh"], "shape", [1 << 40])),
    "another size": in_graph(lambda g: replaced(g["populations"][0], "size", 3)),
    "a port of nothing": in_graph(lambda g: replaced(g["synapses"][0], "port", "elsewhere")),
    "an output of nothing": in_graph(lambda g: replaced(g["synapses"][0], "output", -1)),
    "a kind of nothing": in_graph(lambda g: replaced(g["synapses"][0], "kind", "dense")),
    "a large weight": put(NPY[7:-4], 0, 512),
    "half a weight": put(NPY[7:-4], 0, 3),
    "a box beyond the mesh": put("synapses.membrane-to-flux.parts.boxes", 2, 99),
    "a mesh without some box": put("synapses.membrane-to-flux.parts.boxes", 2, 1),
    "no volume": put("fields.u.inverse_volume", 0, 0),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of = members("line")
    if case == "half a weight":
        of = put("synapses.membrane-to-flux.parts.mantissas", slice(None), 2)(of)  # type: ignore[arg-type]
    path = written(tmp_path / "a.pisnn", DAMAGED[case](of), sealed="seal" not in case)
    assert main([str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith(f"{path}: ") and output.err.count("\n") == 1


def test_ledgers_are_never_heard(tmp_path: Path) -> None:
    of = members("walls")
    name = "synapses.u-0-to-face-x-1-arrival.parts.columns"
    cells = 16
    assert array(of, name).max() < cells
    changed = written(tmp_path / "a.pisnn", put(name, 0, cells)(of))
    assert verdict(changed) == (2, "u-0-to-face-x-1-arrival comes from no neuron that sends")
    assert wider(changed)[0] != 0
    graph = document(members("hidden"))
    blocks = next(s for s in graph["synapses"] if s["kind"] == "blocks")
    blocks["source"] = "membrane"
    changed = written(tmp_path / "b.pisnn", with_document(members("hidden"), graph))
    assert verdict(changed) == (2, "hidden1-to-flux comes from no neuron that sends")


def test_archives_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pisnn"
    path.write_bytes(b"no archive")
    assert verdict(path)[0] == 2
    of = members("line")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in of.items():
            archive.writestr(name, content)
    assert verdict(path) == (2, f"{next(iter(of))} is compressed or encrypted")
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name in (*of, "graph.json"):
            archive.writestr(name, of[name])
    assert "twice" in verdict(path)[1]


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pisnn", members("line"))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")  # the last entry of the directory then says that its member is longer
    content[at + 20 : at + 28] = (1 << 30).to_bytes(4, "little") * 2
    path.write_bytes(content)
    assert verdict(path) == (2, "members overlap")


def test_runs_are_expanded_only_to_the_size_that_the_graph_says(tmp_path: Path) -> None:
    of = members_of(compiled(cells=128))
    name = next(name[7:-4] for name in of if name.endswith("inverse_volume.runs.npy"))
    assert verdict(written(tmp_path / "a.pisnn", of)) == (0, "")
    for rows in ([[1, 1 << 31]], [[1, 127]], [[1, 129], [1, -1]], [[1, 128, 1]]):
        assert verdict(written(tmp_path / "a.pisnn", with_array(of, name, rows)))[0] == 2


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.pisnn", members("sides"))
    assert main([str(path)]) == 0
    assert "is accepted: seal, holders, routes, widths" in capsys.readouterr().out
    assert main([]) == 2 and "usage" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"), pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the module is loaded already
        patched.setattr(sys, "argv", ["kernel.py"])
        runpy.run_module("pisnn_deploy.verify.kernel", run_name="__main__")
    wrong = written(tmp_path / "b.pisnn", WRONG["bits"][1](members("line")))
    assert main([str(wrong)]) == 1


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(standalone_checker(), feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert names <= {*sys.stdlib_module_names} and not names & {"ctypes", "os", "pickle", "subprocess", "socket"}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"float", "eval", "exec", "open", "__import__"}
    assert not any(isinstance(node, ast.Div) for node in ast.walk(tree))
    assert not any(isinstance(node, ast.Constant) and type(node.value) is float for node in ast.walk(tree))


def pythons() -> list[str]:
    """Every Python from 3.8 on that pyenv has, and this one."""
    found = Path.home().glob(".pyenv/versions/3.*/bin/python")
    return [sys.executable, *(str(path) for path in found if int(path.parents[1].name.split(".")[1]) >= 8)]


def test_one_file_runs_beside_an_artifact_with_any_python(tmp_path: Path) -> None:
    (tmp_path / "checker.py").write_text(standalone_checker())
    written(tmp_path / "a.pisnn", members("sides"))
    for python in pythons():
        arguments = [python, "-I", "-S", "checker.py", "a.pisnn"]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "") and "a.pisnn is accepted" in done.stdout

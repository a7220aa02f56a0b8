"""Who may import whom (docs/architecture.md): imports go downwards only, and heavy guests stay where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "pisnn_deploy"

ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "mesh": {"core"},
    "laws": {"core", "mesh"},
    "physics": {"core", "laws", "mesh"},
    "programs": {"core"},
    "graph": {"core", "laws", "mesh", "physics", "programs"},
    "audit": {"core", "graph", "programs"},
    "target": {"core", "formats", "graph", "programs"},
    "estimates": {"core", "graph", "programs", "target"},
    "checks": {"core", "estimates", "graph", "laws", "mesh", "physics", "programs", "target"},
    "compiler": {"core", "graph", "laws", "mesh", "physics", "programs", "target"},
    "verify": {"core", "graph", "laws", "mesh", "physics"},
    "faults": {"audit", "core", "graph", "mesh", "programs"},
    "formats": {"core", "graph", "mesh", "physics", "programs"},
    "runs": {"audit", "core", "faults", "formats", "graph", "mesh", "programs"},
    "lava": {"audit", "core", "faults", "formats", "graph", "programs", "runs"},
    "invariance": {"compiler", "core", "faults", "graph", "mesh", "programs", "runs"},
    "training": {"core", "graph", "laws", "mesh", "physics"},
    "fields": {"core", "graph", "laws", "mesh", "runs"},
    "trajectories": {"core", "laws", "mesh"},
    "project": {
        "checks",
        "compiler",
        "core",
        "estimates",
        "faults",
        "fields",
        "formats",
        "graph",
        "laws",
        "mesh",
        "physics",
        "runs",
        "target",
        "training",
        "trajectories",
        "verify",
    },
    "report": {"checks", "core", "estimates", "graph", "laws", "mesh", "programs", "runs", "target", "trajectories"},
    "live": {"audit", "core", "faults", "graph", "mesh", "report", "runs"},
    "campaign": {
        "audit",
        "core",
        "faults",
        "fields",
        "graph",
        "mesh",
        "physics",
        "project",
        "report",
        "runs",
        "target",
    },
    "hardware_profiles": set(),
    "models": set(),
}
"""What each part of the package may import of the others; `cli` may import everything but what runs on Lava."""
ALLOWED["api"] = set(ALLOWED) - {"lava", "campaign"}
ALLOWED["cli"] = set(ALLOWED) - {"api"}

LAVA_DOOR = "pisnn_deploy.lava.backend"
"""The only module of `lava` that other parts import: it runs Lava in a process of its own and does not import it."""
BY_NAME = {
    "core": {"lava.lib.dl"},
    "runs": {"pisnn_deploy.lava.backend"},
    "formats": {"pisnn_deploy.lava.alone"},
    "target": {"pisnn_deploy.hardware_profiles"},
    "project": {"pisnn_deploy.models"},
}
"""What a part may name in a string, to load it when asked: a backend that is chosen by name, packages of data, and what
may be missing."""
GUESTS = {
    "lava.lib.dl": {"training"},
    "lava": {"lava"},
    "torch": {"runs", "training"},
    "matplotlib": {"api", "report"},
    "jinja2": {"report"},
    "meshio": {"mesh"},
    "scipy": {"lava", "mesh"},
    "llvmlite": {"runs"},
    "pymetis": {"compiler", "runs"},
    "mpi4py": {"runs"},
    "click": {"cli"},
    "onnx": {"formats"},
    "google.protobuf": {"formats"},
    "nir": {"formats"},
    "h5py": {"fields", "formats"},
    "onnxruntime": {"formats", "runs"},
    "dask": {"runs"},
    "distributed": {"campaign", "runs"},
    "pyarrow": {"campaign"},
}
"""Who may import what is heavy or belongs to one layer; the first name that fits decides."""


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def names_in_strings(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"(pisnn_deploy|lava|torch)(\.\w+)+", text):
            yield text


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def violations(part: str, source: str) -> list[str]:
    found = []
    named = set(names_in_strings(source)) - BY_NAME.get(part, set())
    for name in (*imports(source), *sorted(named)):
        guest = next((guest for guest in GUESTS if is_within(name, guest)), None)
        if guest is not None and part not in GUESTS[guest]:
            found.append(f"{part} imports {guest}")
        words = name.split(".")
        if words[0] != "pisnn_deploy" or len(words) < 2:
            continue
        target = words[1]
        if target == part or target.startswith("__"):
            continue
        if target not in ALLOWED[part]:
            found.append(f"{part} imports {target}")
        elif target == "lava" and not is_within(name, LAVA_DOOR):
            found.append(f"{part} imports {name}")
    return found


def modules() -> list[Path]:
    return sorted(
        path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
    ) + sorted(path for name in ("cli", "hardware_profiles", "models") for path in (PACKAGE / name).rglob("*.py"))


def test_imports_go_downwards_only() -> None:
    found = [text for path in modules() for text in violations(part_of(path), path.read_text())]
    assert found == []


def test_every_part_is_in_the_table() -> None:
    parts = {part_of(path) for path in modules()}
    assert parts == set(ALLOWED)


def test_the_table_has_no_cycle() -> None:
    order: list[str] = []
    rest = {part: set(targets) - {"__init__", part} for part, targets in ALLOWED.items()}
    while rest:
        ready = sorted(part for part, targets in rest.items() if targets <= set(order))
        assert ready, f"a cycle among {sorted(rest)}"
        order += ready
        rest = {part: targets for part, targets in rest.items() if part not in ready}


def test_a_forbidden_import_is_seen() -> None:
    assert violations("graph", "def f():\n    import torch.nn\n") == ["graph imports torch"]
    assert violations("mesh", "from pisnn_deploy.graph import integer") == ["mesh imports graph"]
    assert violations("compiler", "from pisnn_deploy import runs") == ["compiler imports runs"]
    assert violations("checks", "from lava.proc import sparse") == ["checks imports lava"]
    assert violations("cli", "import h5py") == ["cli imports h5py"]
    assert violations("compiler", "def f():\n    import nir\n") == ["compiler imports nir"]
    assert violations("runs", "from onnx import helper") == ["runs imports onnx"]
    assert violations("compiler", "from pisnn_deploy.formats import netx") == ["compiler imports formats"]
    assert violations("lava", "import lava.lib.dl.slayer") == ["lava imports lava.lib.dl"]
    assert violations("training", "from lava.proc import sparse") == ["training imports lava"]
    assert violations("cli", "from pisnn_deploy.lava.network import x") == ["cli imports pisnn_deploy.lava.network.x"]
    assert violations("cli", "from pisnn_deploy.lava import backend_of_torch") == [
        "cli imports pisnn_deploy.lava.backend_of_torch"
    ]
    assert violations("cli", "from pisnn_deploy.lava.backend import worker_command") == []


def test_a_forbidden_module_named_in_a_string_is_seen() -> None:
    assert violations("runs", "NAME = 'pisnn_deploy.lava.backend'") == []
    assert violations("runs", "NAME = 'pisnn_deploy.training.trainer'") == ["runs imports training"]
    assert violations("mesh", "importlib.import_module('torch.nn')") == ["mesh imports torch"]
    assert violations("graph", "'see pisnn_deploy.training.trainer'") == []


def test_the_core_loads_neither_torch_nor_lava() -> None:
    program = (
        "import sys, pisnn_deploy.compiler, pisnn_deploy.graph.artifact, pisnn_deploy.runs, pisnn_deploy.checks, "
        "pisnn_deploy.runs.fast, pisnn_deploy.lava.backend, pisnn_deploy.physics.problems; "
        "import pisnn_deploy.report.web_page; "
        "print(sorted({'torch', 'lava', 'llvmlite'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""Who may import whom (docs/architecture.md): imports go downwards only, and heavy guests stay where they belong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "pisnn_deploy"

NUMERICS = {"errors", "arithmetic"}
ALLOWED: dict[str, set[str]] = {
    "printable": set(),
    "errors": {"printable"},
    "pointers": {"errors"},
    "docstrings": set(),
    "arithmetic": {"errors"},
    "invariants": {"errors"},
    "npy": set(),
    "output": {"errors"},
    "plain_yaml": {"errors", "pointers"},
    "field_errors": set(),
    "zoo": {"errors"},
    "guests": {"errors"},
    "surroundings": set(),
    "limits": {"errors"},
    "mesh": {"errors", "pointers"},
    "model": {"arithmetic", "mesh"},
    "clock": {"arithmetic", "model"},
    "symbol": {"arithmetic"},
    "programs": NUMERICS,
    "graph": NUMERICS | {"programs", "clock", "field_errors", "mesh", "model", "npy", "output", "pointers"},
    "problems": {"errors", "mesh"},
    "own_problem": {"errors", "graph", "mesh", "problems"},
    "profiles": {"docstrings", "errors", "plain_yaml", "printable"},
    "utilisation": {"graph", "profiles"},
    "checks": NUMERICS
    | {
        "docstrings",
        "field_errors",
        "graph",
        "mesh",
        "model",
        "output",
        "pointers",
        "printable",
        "profiles",
        "utilisation",
    },
    "compiler": NUMERICS | {"clock", "graph", "mesh", "model", "problems", "profiles", "symbol", "utilisation"},
    "verify": NUMERICS | {"graph", "mesh", "model"},
    "recovery": {"errors", "invariants"},
    "faults": NUMERICS | {"graph", "mesh", "recovery"},
    "processes": NUMERICS | {"faults", "graph", "invariants", "output", "recovery", "surroundings"},
    "exports": NUMERICS | {"__init__", "graph", "mesh", "model", "programs"},
    "imports": NUMERICS
    | {"exports", "field_errors", "limits", "mesh", "model", "pointers", "problems", "surroundings"},
    "backends": NUMERICS
    | {
        "exports",
        "faults",
        "graph",
        "guests",
        "invariants",
        "limits",
        "mesh",
        "npy",
        "output",
        "pointers",
        "processes",
        "recovery",
        "surroundings",
    },
    "cluster": {"backends", "errors", "limits", "printable", "surroundings"},
    "domains": NUMERICS | {"backends", "graph", "invariants", "mesh"},
    "training": NUMERICS
    | {
        "backends",
        "clock",
        "field_errors",
        "graph",
        "mesh",
        "model",
        "npy",
        "output",
        "plain_yaml",
        "pointers",
        "problems",
        "symbol",
    },
    "report": {"arithmetic", "backends", "checks", "graph", "mesh", "output", "printable", "profiles"},
    "campaign": {
        *(
            "__init__",
            "backends",
            "errors",
            "faults",
            "field_errors",
            "graph",
            "invariants",
            "mesh",
            "output",
            "own_problem",
            "plain_yaml",
        ),
        *("pointers", "problems", "profiles", "report", "zoo"),
    },
    "hardware_profiles": set(),
    "lava_alone": set(),
    "models": set(),
}
"""What each part of the package may import of the others; `cli` may import everything but what runs on Lava."""
ALLOWED["api"] = set(ALLOWED) - {"lava_alone", "processes", "training", "campaign"} | {"cli"}
ALLOWED["cli"] = set(ALLOWED) - {"api", "lava_alone", "processes"} | {"__init__"}

EXCHANGE = "pisnn_deploy.processes.exchange"
"""The only module of `processes` that anything else imports: the files between backend and worker, without Lava."""
BY_NAME = {
    "backends": {"pisnn_deploy.training.backend"},
    "exports": {"pisnn_deploy.lava_alone"},
    "profiles": {"pisnn_deploy.hardware_profiles"},
    "zoo": {"pisnn_deploy.models"},
}
"""What a part may name in a string, to load it when asked: a backend that is chosen by name, and packages of data."""
GUESTS = {
    "lava.lib.dl": {"training"},
    "lava": {"lava_alone", "processes"},
    "torch": {"training"},
    "matplotlib": {"api", "report"},
    "jinja2": {"report"},
    "meshio": {"mesh"},
    "numba": {"backends"},
    "llvmlite": {"backends"},
    "pymetis": {"compiler"},
    "click": {"cli"},
    "onnx": {"exports", "imports"},
    "google.protobuf": {"imports"},
    "nir": {"exports", "imports"},
    "h5py": {"exports", "imports"},
    "onnxruntime": {"backends", "imports"},
    "dask": {"cluster"},
    "distributed": {"cluster", "campaign"},
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
        elif target == "processes" and not is_within(name, EXCHANGE):
            found.append(f"{part} imports {name}")
    return found


def modules() -> list[Path]:
    return sorted(
        path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
    ) + sorted(path for name in ("cli", "hardware_profiles", "models") for path in (PACKAGE / name).glob("*.py"))


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
    assert violations("compiler", "from pisnn_deploy import backends") == ["compiler imports backends"]
    assert violations("checks", "from lava.proc import sparse") == ["checks imports lava"]
    assert violations("cli", "import h5py") == ["cli imports h5py"]
    assert violations("compiler", "def f():\n    import nir\n") == ["compiler imports nir"]
    assert violations("backends", "from onnx import helper") == ["backends imports onnx"]
    assert violations("compiler", "from pisnn_deploy.imports import netx") == ["compiler imports imports"]
    assert violations("processes", "import lava.lib.dl.slayer") == ["processes imports lava.lib.dl"]
    assert violations("training", "from lava.proc import sparse") == ["training imports lava"]
    assert violations("backends", "from pisnn_deploy.processes.network import x") == [
        "backends imports pisnn_deploy.processes.network.x"
    ]
    assert violations("backends", "from pisnn_deploy.processes import exchange_of_torch") == [
        "backends imports pisnn_deploy.processes.exchange_of_torch"
    ]
    assert violations("backends", "from pisnn_deploy.processes import exchange") == []


def test_a_forbidden_module_named_in_a_string_is_seen() -> None:
    assert violations("backends", "NAME = 'pisnn_deploy.training.backend'") == []
    assert violations("backends", "NAME = 'pisnn_deploy.training.trainer'") == ["backends imports training"]
    assert violations("mesh", "importlib.import_module('torch.nn')") == ["mesh imports torch"]
    assert violations("graph", "'see pisnn_deploy.training.backend'") == []


def test_the_core_loads_neither_torch_nor_lava() -> None:
    program = (
        "import sys, pisnn_deploy.compiler, pisnn_deploy.graph.artifact, pisnn_deploy.backends, pisnn_deploy.checks, "
        "pisnn_deploy.backends.fast, pisnn_deploy.backends.cpu, pisnn_deploy.problems, pisnn_deploy.report.web_page; "
        "print(sorted({'torch', 'lava', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

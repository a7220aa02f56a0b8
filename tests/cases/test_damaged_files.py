"""Damaged files, and files that stand for others, end in one line and exit code 2, before anything large is made."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzz.artifacts import Parts
from compiled_files import compile_file
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.graph.artifact import artifact_bytes, read_artifact

Enter = Callable[[str], Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
LFS = "is a Git LFS pointer, not the file itself; fetch the file with git lfs pull"
COMMANDS = (("verify",), ("check",), ("inspect",), ("simulate", "--backend", "fast"), ("estimate",), ("export", "--to", "onnx"))
"""Each command that reads an artifact."""


@pytest.fixture(scope="module")
def graded() -> bytes:
    """A sound artifact of 16 cells."""
    return artifact_bytes(*compile_file("heat1d", mesh="16"))


@pytest.fixture(scope="module")
def binary() -> bytes:
    """One whose spikes are binary."""
    return artifact_bytes(*compile_file("heat1d", mesh="16", profile="loihi1"))


def refusal(content: bytes, folder: Path) -> str:
    """What is said of a damaged artifact, without its path."""
    path = folder / "damaged.pisnn"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_artifact(path)
    return str(caught.value).removeprefix(f"{path}: ").removesuffix("; compile the model again")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_ends_in_a_traceback(case: Enter, run: Run, command: tuple[str, ...]) -> None:
    case("artifact_tracebacks")
    for name in ("binary_bound.pisnn", "box_beyond.pisnn") if command == ("verify",) else ("binary_bound.pisnn",):
        done = run(command[0], name, *command[1:])
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {name}: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["ghost", "too-large", "flu", "hidden1"])
@pytest.mark.parametrize("quantity", ["payload", "packet", "mass", "product"])
def test_a_bound_of_an_unknown_population_is_refused(
    name: str, quantity: str, graded: bytes, binary: bytes, tmp_path: Path
) -> None:
    for content in (graded, binary):
        parts = Parts(content)
        parts.graph["bounds"].append({**parts.graph["bounds"][0], "population": name, "quantity": quantity})
        said = refusal(parts.sealed(), tmp_path)
        assert said == f"bound of {name} {quantity}: the graph has no population or synapse of that name"


def test_a_bound_that_is_given_twice_is_refused(graded: bytes, tmp_path: Path) -> None:
    parts = Parts(graded)
    parts.graph["bounds"].append(dict(parts.graph["bounds"][0]))
    assert refusal(parts.sealed(), tmp_path) == "bound of membrane mass is given twice"


@pytest.mark.parametrize("number", [2**63 - 1, 2**63 - 2, -(2**63), 2**62, 2**31, 17, -1])
@pytest.mark.parametrize("column", [1, 2])
def test_a_box_beyond_the_mesh_is_refused(number: int, column: int, graded: bytes, tmp_path: Path) -> None:
    parts = Parts(graded)
    parts.arrays["arrays/synapses.membrane-to-flux.parts.boxes.npy"][0, column] = number
    said = refusal(parts.sealed(), tmp_path)
    wanted = "box 0 leaves the mesh" if column == 1 or number > 0 else "a box has no face"
    assert said == f"synapse membrane-to-flux: {wanted}"


BIAS = "populations.flux.parameters.bias"
START = "populations.membrane.start.mass_before"
DRIVE = "synapses.membrane-to-flux.parts"


def wrapping_starts(parts: Parts) -> None:
    """Starts whose differences, as 64-bit integers, are none of them negative."""
    array = parts.arrays["arrays/synapses.membrane-to-flux.parts.row_starts.npy"]
    parts.arrays["arrays/synapses.membrane-to-flux.parts.row_starts.npy"] = np.array(
        [0, 2**63 - 1, -(2**63), -1, *array[4:]][: array.size - 1] + [array[-1]], np.int64
    )


def set_to(name: str, number: int) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts.arrays[f"arrays/{name}.npy"].reshape(-1)[0] = number

    return change


def stored_as(name: str, array: Any) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts.arrays.pop(f"arrays/{name.removesuffix('.runs')}.npy", None)
        parts.arrays[f"arrays/{name}.npy"] = np.array(array)

    return change


def said_of(change: Callable[[dict[str, Any]], object]) -> Callable[[Parts], None]:
    def changed(parts: Parts) -> None:
        change(parts.graph)

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_to(f"{DRIVE}.mantissas", -(2**63)), "synapse membrane-to-flux: a mantissa is beyond 256"),
        (set_to(f"{DRIVE}.offsets", 2**63 - 2), "synapse membrane-to-flux: an offset is beyond 2147483648"),
        (set_to(START, -(2**63)), "membrane: the start of mass_before of neuron 0 is -9223372036854775808, beyond 2^53"),
        (set_to("placement.utilisation.synapses", 2**62), "placement gives a synapses outside 0 to 2^53"),
        (stored_as(BIAS, np.zeros(16)), f"arrays/{BIAS}.npy: must be a little-endian int64 array in C order"),
        (stored_as(BIAS, np.full(16, np.nan)), f"arrays/{BIAS}.npy: must be a little-endian int64"),
        (stored_as(f"{BIAS}.runs", [[0, 17]]), f"arrays/{BIAS}.runs.npy has 17 numbers, the graph 16"),
        (stored_as(f"{BIAS}.runs", [[0, 2**31]]), f"arrays/{BIAS}.runs.npy has 2147483648 numbers, the graph 16"),
        (stored_as(f"{BIAS}.runs", [[0, -16]]), f"arrays/{BIAS}.runs.npy: must be pairs of a value and a length"),
        (stored_as(f"{BIAS}.runs", [[0, 2**62]] * 4), f"arrays/{BIAS}.runs.npy: must be pairs of a value and a"),
        (stored_as(f"{BIAS}.runs", [0, 16]), f"arrays/{BIAS}.runs.npy: must be pairs of a value and a length"),
        (stored_as(f"{START}.runs", [[0, 16]]), f"arrays/{START}.runs.npy: must not be stored as runs"),
        (stored_as("ghost.runs", [[0, 2**31]]), "arrays/ghost.runs.npy does not belong to the graph"),
        (said_of(lambda graph: graph["placement"].update(cores=1 << 24)), "graph.json: placement.chip: placement has"),
        (said_of(lambda graph: graph.update(period=10**30)), "graph.json: period: must be at most"),
        (said_of(lambda graph: graph["mesh"].update(shape=[1 << 26])), "graph.json: mesh: 67108864 cells are too many for a file of"),
        (said_of(lambda graph: graph.update(time_step=5e-324)), "time_step is 4.94066e-324, beyond 1e-60 to 1e+60"),
        (said_of(lambda graph: graph["fields"][0].update(quantum=1e308)), "quantum is 1e+308, beyond 1e-60 to 1e+60"),
        (said_of(lambda graph: graph["mesh"].update(lengths=[1e-160])), "mesh length 0 is 1e-160, beyond 1e-60 to"),
        (said_of(lambda graph: graph["fields"][0].update(quantum=1e59)), "the value of a quantum is 1.6e+60, beyond 1e-60 to 1e+60"),
    ],
)
def test_numbers_that_wrap_and_lengths_that_do_not_fit_are_refused(
    change: Callable[[Parts], None], message: str, graded: bytes, tmp_path: Path
) -> None:
    parts = Parts(graded)
    change(parts)
    tracemalloc.start()
    try:
        assert refusal(parts.sealed(), tmp_path).startswith(message)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_no_face_is_joined_to_more_cells_than_the_model_sees(tmp_path: Path) -> None:
    # 140 kB would be 67 million connections, of which commands make lists.
    cells = 8192
    parts = Parts(artifact_bytes(*compile_file("heat1d", mesh=str(cells), placement="none")))
    for name in [name for name in parts.arrays if name.startswith("arrays/synapses.membrane-to-flux.parts.") and "boxes" not in name]:
        del parts.arrays[name]
    parts.arrays["arrays/synapses.membrane-to-flux.parts.offsets.npy"] = np.arange(cells).reshape(-1, 1)
    parts.arrays["arrays/synapses.membrane-to-flux.parts.mantissas.runs.npy"] = np.array([[2, cells]])
    parts.arrays["arrays/synapses.membrane-to-flux.parts.row_starts.npy"] = np.array([0, cells])
    tracemalloc.start()
    try:
        said = refusal(parts.sealed(), tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
    assert said == "synapse membrane-to-flux: a face is joined to 8192 cells, the model's window has 8"


def test_starts_whose_differences_wrap_are_refused(tmp_path: Path) -> None:
    # A wall on both sides makes boxes, and so rows, enough for it.
    content = artifact_bytes(*compile_file("heat1d", mesh="16", boundary="no-flux"))
    parts = Parts(content)
    wrapping_starts(parts)
    assert "starts is not an ascending list of " in refusal(parts.sealed(), tmp_path)


@pytest.mark.parametrize("raw", [b"\xff", b"\xed\xa0\x80", b"[" * 100_000, b'"x":' + b"9" * 5000, b'"x":1e999999'])
@pytest.mark.parametrize("name", ["graph.json", "certificate.json", "provenance.json"])
def test_json_that_is_none_is_refused(raw: bytes, name: str, graded: bytes, tmp_path: Path) -> None:
    parts = Parts(graded)
    parts.raw[name] = b"{" + raw + b"}"
    assert refusal(parts.sealed(), tmp_path).startswith(f"{name}: is not plain JSON (")


def test_what_could_be_read_but_not_written_again_is_refused(graded: bytes, tmp_path: Path) -> None:
    parts = Parts(graded)
    for depth in (62, 63):
        parts.raw["provenance.json"] = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
        (tmp_path / "deep.pisnn").write_bytes(parts.sealed())
        assert read_artifact(tmp_path / "deep.pisnn").provenance["x"] is not None
    parts.raw["provenance.json"] = b'{"x":' + b"[" * 64 + b"]" * 64 + b"}"
    said = refusal(parts.sealed(), tmp_path)
    assert said == "provenance.json: is not plain JSON (nested more than 64 levels deep)"


def test_runs_are_not_expanded_before_their_length_is_known(case: Enter, installed: Run) -> None:
    folder = case("runs_bomb")
    subprocess.run([sys.executable, "make.py", "../artifact_of_16_cells.pisnn"], check=True)
    limited = lambda: resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29))  # noqa: E731
    done = installed("verify", "bomb.pisnn", preexec_fn=limited)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: bomb.pisnn: ") and done.stderr.count("\n") == 1
    assert (folder / "bomb.pisnn").stat().st_size < 1 << 20


@pytest.mark.parametrize("name", ["a", "operatorz", "a.mantissas", "operator9.bias", "membrane-to-flux.ghost"])
def test_a_member_that_no_graph_has_is_never_expanded(name: str, graded: bytes, tmp_path: Path) -> None:
    parts = Parts(graded)
    parts.arrays["arrays/operatorz.npy"] = np.zeros(1 << 16, np.int64)
    parts.arrays[f"arrays/{name}.runs.npy"] = np.array([[0, (1 << 28) - 1]])
    if name == "operatorz":
        del parts.arrays["arrays/operatorz.npy"]
    tracemalloc.start()
    try:
        assert refusal(parts.sealed(), tmp_path).endswith(" does not belong to the graph")
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


def test_a_pointer_of_git_lfs_is_told_as_that(case: Enter, run: Run) -> None:
    case("lfs_pointer")
    for words in (
        ("compile", "network.net", "--problem", "heat1d"),
        ("compile", "heat2d", "--mesh", "plate.msh"),
        ("verify", "heat.pisnn"),
    ):
        done = run(*words)
        name = next(word for word in words if "." in word)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {name}: {LFS}\n")


def test_a_state_dict_is_told_as_that(case: Enter, run: Run) -> None:
    case("torch_state_dict")
    done = run("compile", "lin_state.pt", "--problem", "heat1d")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: lin_state.pt: is a state_dict (tensors by name, such as 'weight'), not a checkpoint; a checkpoint "
        "has a spec with its weights: docs/reference/checkpoint.md shows how to write one, or export the network as ONNX and "
        "compile that with --problem\n"
    )


def test_parts_of_an_artifact_are_put_together_as_they_were(graded: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(graded)) as old, zipfile.ZipFile(io.BytesIO(Parts(graded).sealed())) as new:
        assert sorted(new.namelist()) == sorted(old.namelist())
        assert old.read(f"arrays/{START}.npy") == new.read(f"arrays/{START}.npy")


def test_a_mesh_without_cells_is_refused(tmp_path: Path) -> None:
    points = "4\n1 0 0 0\n2 1 0 0\n3 1 1 0\n4 0 1 0\n"
    cells = "2\n1 2 2 1 1 1 2 3\n2 2 2 1 1 1 3 4\n"
    text = f"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n{points}$EndNodes\n$Elements\n{cells}$EndElements\n"
    (tmp_path / "plate.msh").write_text(text)
    parts = Parts(artifact_bytes(*compile_file("heat2d", mesh=str(tmp_path / "plate.msh"), placement="none")))
    for name, array in parts.arrays.items():
        parts.arrays[name] = array[: 1 if "row_starts" in name or "route" in name else 0]
    assert refusal(parts.sealed(), tmp_path) == "the mesh has no cells"

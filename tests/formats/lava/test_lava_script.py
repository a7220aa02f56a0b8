"""The exported script runs where this package is not, and gives the integers of the reference."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from graphs_by_hand import two_fields
from models_under_test import compiled, stock_box

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.archive import zip_bytes
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.lava.script import lava_files
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.graph.stock import stock_network


def lava_alone(folder: Path) -> Path:
    """A Python of its own that sees what is installed here, but not this package."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    packages = folder / "packages"
    packages.mkdir()
    for place in sys.path:
        for entry in Path(place).iterdir() if place.endswith("site-packages") else ():
            if "pisnn" not in entry.name and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (folder / "venv" / "lib" / version / "site-packages" / "lava.pth").write_text(f"{packages}\n")
    return folder / "venv" / "bin" / "python"


def executed(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-I", str(folder / "run.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def exported(graph: IntegerGraph, folder: Path) -> Path:
    write_artifact(folder / "heat.pisnn", graph, {})
    words = ["export", str(folder / "heat.pisnn"), "--to", "lava", "-o", str(folder / "out")]
    done = CliRunner().invoke(group, [*words, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["files"] == ["graph.npz", "run.py"] and told["folder"] == str(folder / "out")
    return folder / "out"


def test_lava_alone_gives_the_integers_of_the_reference(tmp_path: Path) -> None:
    python = lava_alone(tmp_path)
    missing = subprocess.run(
        [str(python), "-I", "-c", "import pisnn_deploy"], capture_output=True, text=True, check=False
    )
    assert "No module named 'pisnn_deploy'" in missing.stderr
    graph = stock_box(shape=(9,), boundary="no-flux", send_threshold=700)
    folder = exported(graph, tmp_path)
    start = graph.initial[::-1].copy()
    np.save(folder / "start.npy", start)
    done = executed(python, folder, "--steps", "33", "--initial", "start.npy", "--save", "end.npy")
    total = int(start.sum())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == f"mass: {total} quanta at the start, {total} at the end"
    found = np.load(folder / "end.npy", allow_pickle=False)
    assert found.dtype == np.int64 and np.array_equal(found, Semantics(graph).masses_after(start, 33))
    for name, given, sentence in (
        ("text.npy", b"nothing", "text.npy: cannot be read ("),
        ("few.npy", np.zeros(3, np.int64), "few.npy: expected 9 integer masses, found 3 numbers of type int64\n"),
        ("low.npy", start - total, f"low.npy: cell 0 has the mass {int(start[0]) - total}, outside 0 to "),
    ):
        if isinstance(given, bytes):
            (folder / name).write_bytes(given)
        else:
            np.save(folder / name, given)
        wrong = executed(python, folder, "--initial", name)
        assert wrong.returncode == 1 and wrong.stderr.startswith(sentence), wrong.stderr


def test_masses_of_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    from pisnn_deploy.lava.alone.run import read_masses

    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': ((3, ".ljust(117) + b"\n"
    several = io.BytesIO()
    np.savez(several, a=np.zeros(9, np.int64))
    about = {"lowest_mass": 0, "highest_mass": 9}
    for content, sentence in (
        (b"\x93NUMPY\x01\x00v\x00" + header, "cannot be read ("),
        (b"\x93NUMPY\x03\x00\xff\xff\xff\xff", "cannot be read ("),
        (several.getvalue()[:99], "cannot be read ("),
        (several.getvalue(), "holds several arrays, expected one of 9 integer masses"),
    ):
        path = tmp_path / "mass.npy"
        path.write_bytes(content)
        with pytest.raises(SystemExit) as caught:
            read_masses(str(path), about, 9)
        assert str(caught.value).startswith(f"{path}: {sentence}")


def test_a_loss_is_told(tmp_path: Path) -> None:
    graph = stock_box(shape=(6,))
    files = lava_files(graph)
    with np.load(io.BytesIO(files["graph.npz"]), allow_pickle=False) as file:
        data = dict(file)
    data["route_mantissas"] = data["route_mantissas"].copy()
    data["route_mantissas"][0] *= 2
    (tmp_path / "run.py").write_bytes(files["run.py"])
    np.savez(tmp_path / "graph.npz", **data)
    done = executed(Path(sys.executable), tmp_path, "--steps", "4")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("mass is not conserved: ")


def test_data_is_what_the_processes_get_and_the_same_each_time(tmp_path: Path) -> None:
    graph = stock_box(send_threshold=5)
    files, network = lava_files(graph, "digest"), stock_network(graph, graph.initial)
    assert files == lava_files(graph, "digest") and zip_bytes(files) == zip_bytes(files)
    with zipfile.ZipFile(io.BytesIO(zip_bytes(files))) as archive:
        assert archive.namelist() == ["graph.npz", "run.py"]
    with np.load(io.BytesIO(files["graph.npz"]), allow_pickle=False) as data:
        assert np.array_equal(data["mass"], network.mass) and data["send_threshold"].tolist() == [5]
        assert np.array_equal(data["weights_mantissas"], network.weights.values)
        assert np.array_equal(data["route_columns"], network.route.columns)
        assert json.loads(bytes(data["about"]))["artifact_sha256"] == "digest"
    assert b"pisnn_deploy" not in files["run.py"]
    assert b"\nRUN_CONFIGURATION = run_configs.Loihi2SimCfg(" in files["run.py"]


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        lava_files(compiled())
    assert str(caught.value) == "heat1d uses C-LIF, which Lava itself does not have; compile it with `processes` stock"
    with pytest.raises(UsageError) as caught:
        lava_files(two_fields())
    assert str(caught.value) == "heat1d uses C-LIF, which Lava itself does not have; run it on `backend` cpu"
    write_artifact(tmp_path / "stock.pisnn", stock_box(), {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for words, message in (
        (["--to", "lava", "-o", "full"], "full: cannot be written (Directory not empty); name a new folder"),
        (
            ["--to", "lava", "-o", "stock.pisnn"],
            "stock.pisnn: cannot be written (Not a directory); name a folder, or a file",
        ),
        (["--to", "lava", "-o", "none/out.zip"], "none/out.zip: cannot be written (No such file or directory)"),
        (["--to", "lava", "--loop"], "--loop: needs --to onnx"),
    ):
        named = [str(tmp_path / word) if "/" in word or word in ("full", "stock.pisnn") else word for word in words]
        done = CliRunner().invoke(group, ["export", str(tmp_path / "stock.pisnn"), *named])
        assert isinstance(done.exception, UsageError)
        assert str(done.exception).removeprefix(f"{tmp_path}/").startswith(message)

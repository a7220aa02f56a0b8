"""Every reader tells a pointer of Git LFS or git-annex for what it is, and refuses pipes and devices."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from models_under_test import compiled

from pisnn_deploy.campaign.table import read_table
from pisnn_deploy.checks.baseline import Baseline
from pisnn_deploy.cli.config import read_config
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.estimates.activity import read_activity
from pisnn_deploy.fields.npy_file import read_field
from pisnn_deploy.formats.reading import Request, import_model
from pisnn_deploy.graph.artifact import read_artifact, write_artifact
from pisnn_deploy.mesh import read_mesh_file
from pisnn_deploy.project.conditions import read_cell_property, read_materials
from pisnn_deploy.project.exports import exported_network
from pisnn_deploy.runs.recording import recording
from pisnn_deploy.target import load_profile
from pisnn_deploy.training.checkpoint import read_checkpoint

OID = "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
LFS = f"version https://git-lfs.github.com/spec/v1\n{OID}\nsize 12345\n"
WORDS = "is a Git LFS pointer, not the file itself; fetch the file with git lfs pull"
ANNEX = "is a git-annex pointer, not the file itself; fetch the file with git annex get"
READERS: dict[str, Callable[[Path], Any]] = {
    "a.pisnn": read_artifact,
    "a.pt": read_checkpoint,
    **{f"a{end}": lambda path: import_model(path, Request("heat1d")) for end in (".onnx", ".net", ".nir", ".h5")},
    **{f"a.{end}": read_mesh_file for end in ("msh", "vtu", "vtk", "inp", "mesh")},
    "a.npy": lambda path: read_field(path, (4,)),
    "k.npy": lambda path: read_cell_property(path, (4,)),
    "a.yaml": read_mapping,
    "materials.yaml": read_materials,
    "profile.yaml": lambda path: load_profile(str(path)),
    "baseline.json": Baseline,
    "run.json": lambda path: read_activity(path, None),  # type: ignore[arg-type]
    "a.parquet": read_table,
    "pisnn.toml": read_config,
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_tells_a_pointer(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(LFS)
    with pytest.raises(FileError) as caught:
        READERS[name](path)
    assert str(caught.value) == f"{path}: {WORDS}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LFS, WORDS),
        (LFS.replace("\n", "\r\n"), WORDS),
        (f"version https://hawser.github.com/spec/v1\n{OID}\nsize 1\n", WORDS),
        (f"version https://git-lfs.github.com/spec/v1\next-0-foo sha256:{'0' * 64}\n{OID}\nsize 1\n", WORDS),
        ("/annex/objects/SHA256E-s12--ab.pisnn\n", ANNEX),
        (f"version: 1\n{OID}\n", ""),
        (f"x{LFS}", ""),
        (LFS + "x" * 1024, ""),
        ("", ""),
    ],
)
def test_what_is_a_pointer(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(text.encode())
    if not said:
        require_content(path)
        return
    with pytest.raises(FileError, match=said):
        require_content(path)


def test_what_cannot_be_read_is_left_to_the_reader(tmp_path: Path) -> None:
    require_content(tmp_path / "nothing")
    require_content(tmp_path)
    require_content(Path("a\0b"))


@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_pipes_and_devices(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / "endless").mkdir()
    (tmp_path / "endless" / name).symlink_to("/dev/zero")
    for path in (tmp_path / name, tmp_path / "endless" / name):
        with pytest.raises(FileError) as caught:
            READERS[name](path)
        assert str(caught.value) == f"{path}: is not a regular file"


@pytest.mark.parametrize("target", ["nir", "netx"])
@pytest.mark.parametrize("name", ["a.pisnn", "a.pt", "a.onnx"])
def test_export_refuses_a_pipe(name: str, target: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(FileError, match="is not a regular file"):
        exported_network(str(tmp_path / name), target)


def test_a_trace_is_saved_to_no_pipe_and_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artifact(Path("a.pisnn"), compiled(cells=8), {})
    os.mkfifo("pipe")
    for save in ("pipe", os.devnull):
        refused = CliRunner().invoke(group, ["simulate", "a.pisnn", "--backend", "fast", "--save", save])
        assert str(refused.exception) == f"{save}: is not a regular file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pisnn", "pipe"]


def test_a_recording_tells_a_pointer(tmp_path: Path) -> None:
    folder = tmp_path / "run.npz.partial"
    folder.mkdir()
    (folder / "snapshot.npz").write_text(LFS)
    with recording(folder, compiled(cells=8), {"steps": 2}) as record, pytest.raises(FileError) as caught:
        record.progressed()
    assert str(caught.value) == f"{folder / 'snapshot.npz'}: {WORDS}"

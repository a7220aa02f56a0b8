"""Checkpoints: a faithful round trip, and files that come from anyone."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_under_test import heat_model, hidden_model

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.training.checkpoint import read_checkpoint, write_checkpoint

Content = dict[str, Any]


def content() -> Content:
    model = hidden_model((3,))
    return {
        "schema": "pisnn-deploy/checkpoint",
        "version": 1,
        "spec": model.spec.model_dump(mode="json"),
        "weights": [torch.from_numpy(weight) for weight in model.weights],
        "biases": [torch.from_numpy(bias) for bias in model.biases],
        "training": {},
    }


def message(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_round_trip(tmp_path: Path) -> None:
    for model in (heat_model(), hidden_model((3, 2), leak=77)):
        write_checkpoint(tmp_path / "m.pt", model, {"seed": 1})
        back = read_checkpoint(tmp_path / "m.pt")
        assert back.spec == model.spec
        for left, right in zip((*back.weights, *back.biases), (*model.weights, *model.biases), strict=True):
            assert np.array_equal(left, right)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.pt"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        write_checkpoint(tmp_path / name, heat_model(), {})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def nan(content: Content) -> None:
    content["weights"][0][0, 1] = float("nan")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda c: c.update(schema="x"),
            "is a torch file, but not a pisnn-deploy checkpoint; docs/reference/checkpoint.md has",
        ),
        (lambda c: c.update(version=2), "version: must be 1, not 2"),
        (lambda c: c.pop("biases"), "biases: is missing"),
        (lambda c: c.update(more=1), "more: is unknown"),
        (lambda c: c["spec"].update(half_width=99), "spec.half_width: must be at most 32, not 99"),
        (lambda c: c["spec"].update(nonsense=1), "spec.nonsense: is unknown; known fields are name, equation, "),
        (nan, "weight.0 contains NaN or infinity"),
        (lambda c: c["weights"].pop(), "has 1 weights and 2 biases, expected 2 of each"),
        (lambda c: c["weights"].reverse(), "weight.0 has shape (1, 3), expected (3, 4) from the spec"),
        (lambda c: c.update(weights={}), "weights: must be a list of at most 16 tensors"),
        (lambda c: c["weights"].__setitem__(0, 3), "weights.0: must be a dense tensor"),
        (
            lambda c: c["weights"].__setitem__(0, torch.zeros(3, 4, dtype=torch.int64)),
            "weights.0: must be float32 or float64, not int64",
        ),
        (
            lambda c: c["weights"].__setitem__(0, torch.zeros(1).expand(3, 4)),
            "is damaged, or not a torch file; expected a .pt file",
        ),
    ],
)
def test_wrong_content_is_one_clear_line(change: Callable[[Content], object], expected: str, tmp_path: Path) -> None:
    plain = content()
    change(plain)
    torch.save(plain, tmp_path / "m.pt")
    assert message(tmp_path / "m.pt").startswith(expected)


class Mischief:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_pickle_is_executed(zipped: bool, tmp_path: Path) -> None:
    torch.save({"schema": Mischief(tmp_path / "gotcha")}, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    found = message(tmp_path / "m.pt")
    assert not (tmp_path / "gotcha").exists()
    assert found.startswith(
        "contains an object of posix.mkdir, not plain tensors, and was not executed"
        if zipped
        else "has the format of torch before 1.6; if you trust it, load it with torch and save it again"
    )


def test_a_legacy_pickle_with_a_zip_behind_it_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO(pickle.dumps(Mischief(tmp_path / "gotcha")))
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("archive/data.pkl", b"")
    (tmp_path / "m.pt").write_bytes(buffer.getvalue())
    assert message(tmp_path / "m.pt").startswith("is a pickle, which is never executed")
    assert not (tmp_path / "gotcha").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"hello"])
def test_not_a_torch_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(data)
    assert message(tmp_path / "m.pt") == "is not a torch zip file; expected a .pt file in torch's zip format"


def test_missing_folder_truncated_and_compressed(tmp_path: Path) -> None:
    assert message(tmp_path / "none.pt") == "cannot be read (No such file or directory)"
    assert message(tmp_path).startswith("cannot be read")
    write_checkpoint(tmp_path / "m.pt", heat_model(), {})
    whole = (tmp_path / "m.pt").read_bytes()
    for length in range(0, len(whole), 211):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        message(tmp_path / "cut.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000))
    assert message(tmp_path / "bomb.pt").startswith("has compressed members, which torch does not write")
    with zipfile.ZipFile(tmp_path / "plain.pt", "w") as archive:
        archive.writestr("hello", b"x")
    assert message(tmp_path / "plain.pt").startswith("is damaged, or not a torch file")

"""Files of torch and others that are no checkpoint are named for what they are, and nothing in them runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.training.checkpoint import read_checkpoint
from pisnn_deploy.training.foreign_files import HOW, foreign_file, foreign_pickle

ROOT = Path(__file__).parents[2]


def saved(content: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def legacy_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle", "sys_info"):
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


def numpy_archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, w=np.zeros(3))
    return buffer.getvalue()


def script() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), buffer)  # type: ignore[no-untyped-call]
    return buffer.getvalue()


LINEAR = torch.nn.Linear(4, 1)
STATE = "is a state_dict (tensors by name, such as 'weight'), not a checkpoint"
KINDS: dict[str, tuple[Callable[[], bytes], str]] = {
    "state_dict": (lambda: saved(LINEAR.state_dict()), STATE),
    "plain state_dict": (lambda: saved(dict(LINEAR.state_dict())), STATE),
    "ordered state_dict": (lambda: saved(OrderedDict(weight=torch.zeros(2))), STATE),
    "of lava-dl": (
        lambda: saved({"blocks.0.neuron.current_decay": torch.zeros(1), "blocks.0.synapse.weight": torch.zeros(2)}),
        "is a state_dict (tensors by name, such as 'blocks.0.neuron.current_decay'), not a checkpoint",
    ),
    "parameters": (lambda: saved({"weight": torch.nn.Parameter(torch.zeros(2))}), STATE),
    "half precision": (lambda: saved({"weight": torch.zeros(2, dtype=torch.bfloat16)}), STATE),
    "nested": (lambda: saved({"epoch": 3, "net": LINEAR.state_dict()}), STATE),
    "module": (
        lambda: saved(LINEAR),
        "contains an object of torch.nn.modules.linear.Linear, not plain tensors, and was not executed",
    ),
    "training": (
        lambda: saved({"epoch": 3, "model_state_dict": dict(LINEAR.state_dict())}),
        "has a state_dict under 'model_state_dict', but is not a checkpoint",
    ),
    "optimiser": (
        lambda: saved(torch.optim.SGD(LINEAR.parameters(), lr=0.1).state_dict()),
        "is the state of an optimiser, not a checkpoint",
    ),
    "tensor": (lambda: saved(torch.zeros(3)), "is a tensor, not a checkpoint"),
    "legacy": (
        lambda: saved(LINEAR.state_dict(), _use_new_zipfile_serialization=False),
        "has the format of torch before 1.6",
    ),
    "tar": (legacy_tar, "has the format of torch before 0.1.10"),
    "safetensors": (safetensors, "is a safetensors file, but not a checkpoint: it only has tensors by name"),
    "script": (script, "is a TorchScript archive, whose code is never executed"),
    "exported": (
        lambda: zipped("archive_format", "models/model.json"),
        "is a program of torch.export, not a checkpoint",
    ),
    "numpy": (numpy_archive, "is an .npz file of numpy arrays, not a checkpoint"),
    "pickle": (lambda: pickle.dumps({"a": 1}), "is a pickle, which is never executed"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_what_a_file_is(kind: str, tmp_path: Path) -> None:
    made, problem = KINDS[kind]
    path = tmp_path / "a.pt"
    path.write_bytes(made())
    with pytest.raises(FileError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: {problem}; ")
    if problem.endswith("and no checkpoint"):
        assert caught.value.remedy == HOW


def test_damaged_content_is_of_no_kind() -> None:
    state = saved(LINEAR.state_dict())
    for length in range(0, len(state), 97):
        assert foreign_file(state[:length]) is None
        assert foreign_pickle(state[:length]) is None
    assert foreign_pickle(b"\x80\x02N.") is None


def test_the_page_shows_how_to_make_a_checkpoint_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs/reference/checkpoint.md").read_text(), re.MULTILINE | re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    torch.save({"weight": torch.tensor([[0.01, -0.1, 1.0, 3.0, -3.0, -1.0, 0.1, -0.01]])}, "network.pt")
    exec(compile(code, "checkpoint.md", "exec"), {})
    model = read_checkpoint(tmp_path / "checkpoint.pt")
    assert model.weights[0].shape == (1, 8) and model.spec.name == "mine"

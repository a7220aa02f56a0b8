"""Files of tensors that may come from anyone: read without torch, within what is stored."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.training.foreign_files import HOW
from pisnn_deploy.training.tensor_file import read_tensors

DAMAGED = "is damaged, or not a torch file; expected a .pt file in torch's zip format"
OBJECT = f"contains an object of {{}}, not plain tensors, and was not executed; {HOW}"


def members(content: object) -> dict[str, bytes]:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refusal(path: Path, held: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_what_torch_saves_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    table = torch.arange(12, dtype=torch.float64).reshape(3, 4)
    content: dict[str, Any] = {
        "plain": [1, -2, 2**40, 0.5, "text", None, True, (1, (2,)), {"a": []}],
        "table": table,
        "columns": table.T,
        "part": table[1:, ::2],
        "single": torch.tensor(3.0),
        "none": torch.zeros(0, 4),
        "integers": torch.arange(3),
        "halves": torch.ones(2, dtype=torch.float16),
    }
    torch.save(content, path)
    found = read_tensors(path)
    assert found["plain"] == content["plain"]
    for name in content.keys() - {"plain"}:
        assert np.array_equal(found[name], content[name].numpy()) and found[name].dtype == content[name].numpy().dtype


def test_a_tensor_is_never_larger_than_what_is_stored(tmp_path: Path) -> None:
    # torch 2.3 reads what lies behind it in memory, and a training then writes there.
    held = members(torch.zeros(100))
    data = next(name for name in held if name.endswith("/data/0"))
    assert refusal(tmp_path / "a.pt", held | {data: held[data][:40]}) == DAMAGED
    torch.save(torch.zeros(1).expand(1000, 1000), tmp_path / "b.pt")
    with pytest.raises(FileError, match="is damaged"):
        read_tensors(tmp_path / "b.pt")


def test_an_archive_for_torchscript_is_refused(tmp_path: Path) -> None:
    # torch hands it to its own interpreter, in spite of weights_only.
    held = members({"a": 1})
    folder = next(iter(held)).partition("/")[0]
    assert refusal(tmp_path / "a.pt", held | {f"{folder}/constants.pkl": b""}) == (
        f"is a TorchScript archive, whose code is never executed; {HOW}"
    )
    assert refusal(tmp_path / "a.pt", held | {"../evil": b""}) == DAMAGED


class Calls:
    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (Calls(eval, "1"), "__builtin__.eval"),
        (Calls(torch.load, "/etc/hostname"), "torch.serialization.load"),
        (Calls(torch.jit.load, "x"), "torch.jit._serialization.load"),
        (Calls(print, "heard"), "__builtin__.print"),
    ],
)
def test_only_tensors_are_made(content: object, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = members({"a": 1})
    member = next(name for name in held if name.endswith("data.pkl"))
    assert refusal(tmp_path / "a.pt", held | {member: pickle.dumps(content, 2)}) == OBJECT.format(name)
    assert capsys.readouterr().out == ""


def test_a_place_in_memory_that_no_pickle_needs_is_refused(tmp_path: Path) -> None:
    held = members({"a": 1})
    name = next(name for name in held if name.endswith("data.pkl"))
    tracemalloc.start()
    try:
        assert refusal(tmp_path / "a.pt", held | {name: b"\x80\x02]r\xff\xff\xff\x0f."}) == DAMAGED
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_tensor_that_is_named_often_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save([torch.zeros(1 << 18)[None]] * 3 + [torch.zeros(1 << 18)], path)
    tracemalloc.start()
    try:
        assert len(read_tensors(path)) == 4
        assert tracemalloc.get_traced_memory()[1] < 4 * path.stat().st_size
    finally:
        tracemalloc.stop()

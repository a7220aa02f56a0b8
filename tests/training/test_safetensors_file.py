"""Checkpoints in safetensors: the same bytes each time, read without torch, and hostile files in one line each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_under_test import heat_model, hidden_model
from safetensors import safe_open

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import LARGEST_HEADER
from pisnn_deploy.formats.content import format_of
from pisnn_deploy.training import safetensors_file
from pisnn_deploy.training.checkpoint import read_checkpoint, write_checkpoint
from pisnn_deploy.training.checkpoint_file import SCHEMA
from pisnn_deploy.training.safetensors_file import LARGEST_COUNT, METADATA, read_safetensors

Header = dict[str, Any]
DAMAGED = "is damaged, or not a safetensors file: "


def message(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


def parts(path: Path) -> tuple[Header, bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write(path: Path, header: object, body: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, hidden_model((3,)), {"seed": 1})
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for model in (heat_model(), hidden_model((3, 2), leak=77)):
        write_checkpoint(path, model, {"seed": 1})
        back = read_checkpoint(path)
        assert back.spec == model.spec
        for left, right in zip((*back.weights, *back.biases), (*model.weights, *model.biases), strict=True):
            assert np.array_equal(left, right)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_training_that_counted_infinities_is_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_checkpoint(path, heat_model(), {"loss": float("nan"), "errors": [1.5, float("inf")]})
    kept = json.loads(parts(path)[0][METADATA][SCHEMA])["training"]
    assert kept == {"loss": None, "errors": [1.5, None]}


def test_the_same_model_gives_the_same_bytes_in_every_process(written: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pisnn_deploy.training.checkpoint import *; p = Path(sys.argv[1]); "
        "write_checkpoint(p, read_checkpoint(p), {'seed': 1}); assert 'torch' not in sys.modules"
    )
    before = written.read_bytes()
    subprocess.run([sys.executable, "-c", program, written], check=True)
    assert written.read_bytes() == before


def test_others_read_it_with_the_library_alone(written: Path) -> None:
    with safe_open(written, framework="numpy") as file:
        assert set(file.keys()) == {"biases.0", "biases.1", "weights.0", "weights.1"}
        content = json.loads(file.metadata()[SCHEMA])
        assert np.array_equal(file.get_tensor("weights.1"), hidden_model((3,)).weights[1])
    assert (content["version"], content["spec"]["hidden"], content["training"]) == (2, [3], {"seed": 1})


def test_single_precision_and_any_name_are_read(written: Path, tmp_path: Path) -> None:
    header, body = parts(written)
    name = "biases.0"
    begin, end = header[name]["data_offsets"]
    assert begin == 0
    single = np.frombuffer(body[begin:end], "<f8").astype("<f4").tobytes()
    for entry in [entry for key, entry in header.items() if key != METADATA]:
        entry["data_offsets"] = [offset - len(single) if offset else 0 for offset in entry["data_offsets"]]
    header[name] |= {"dtype": "F32", "data_offsets": [0, len(single)]}
    other = write(tmp_path / "m.pt", header, single + body[end:])
    assert np.array_equal(read_checkpoint(other).biases[0], read_checkpoint(written).biases[0].astype(np.float32))


def test_a_header_that_begins_like_onnx_is_none(written: Path, tmp_path: Path) -> None:
    header, body = parts(written)
    text = json.dumps(header).encode()
    other = write(tmp_path / "model", text + b" " * (-(len(text) - 8) % 256), body)
    assert other.read_bytes()[:1] == b"\x08" and format_of(other) == "checkpoint"
    assert read_checkpoint(other).spec == hidden_model((3,)).spec


def metadata(change: Callable[[Header], object]) -> Callable[[Header], object]:
    def changed(header: Header) -> None:
        content = json.loads(header[METADATA][SCHEMA])
        change(content)
        header[METADATA][SCHEMA] = json.dumps(content)

    return changed


def renamed(header: Header) -> None:
    header["weights.7"] = header.pop("weights.1")


def overlapping(header: Header) -> None:
    header["weights.0"]["data_offsets"] = header["weights.1"]["data_offsets"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda h: h.pop(METADATA),
            "is a safetensors file, but not a checkpoint: it only has tensors by name; a checkpoint has a spec",
        ),
        (lambda h: h[METADATA].update(format="pt"), "has other metadata than pisnn-deploy/checkpoint; a checkpoint"),
        (lambda h: h[METADATA].update({SCHEMA: "{"}), "pisnn-deploy/checkpoint: is not plain JSON"),
        (lambda h: h[METADATA].update({SCHEMA: "[" * 9999}), "pisnn-deploy/checkpoint: is not plain JSON"),
        (lambda h: h[METADATA].update({SCHEMA: '{"version": NaN}'}), "pisnn-deploy/checkpoint: is not plain JSON"),
        (lambda h: h[METADATA].update({SCHEMA: "3"}), "pisnn-deploy/checkpoint: must be an object"),
        (lambda h: h.update({METADATA: {SCHEMA: 3}}), "__metadata__: must only have texts"),
        (metadata(lambda c: c.update(version=3)), "version: must be 2, not 3"),
        (metadata(lambda c: c.update(version="2")), "version: must be 2"),
        (metadata(lambda c: c.pop("spec")), "spec: is missing"),
        (metadata(lambda c: c.update(more=1)), "more: is unknown"),
        (metadata(lambda c: c["spec"].update(half_width=99)), "spec.half_width: must be at most 32, not 99"),
        (metadata(lambda c: c["spec"].pop("name")), "spec.name: is missing"),
        (renamed, "weights.1: is missing"),
        (lambda h: h.update(other=h.pop("weights.1")), "other: is unknown"),
        (lambda h: h["weights.1"].update(dtype="BF16"), "weights.1: must be F32 or F64, not BF16"),
        (lambda h: h["weights.1"].pop("dtype"), "weights.1: must be F32 or F64"),
        (lambda h: h.update({"weights.1": 3}), "weights.1: must be F32 or F64"),
        (lambda h: h["weights.0"].update(shape=[4, 3]), "weight.0 has shape (4, 3), expected (3, 4) from the spec"),
        (lambda h: h["weights.0"].update(shape=[1 << 62, 4]), f"{DAMAGED}"),
        (lambda h: h["weights.0"].update(shape=[3, 5]), f"{DAMAGED}invalid shape, data type, or offset for tensor"),
        (overlapping, f"{DAMAGED}invalid"),
        (lambda h: h["weights.0"].update(data_offsets=[0, 1 << 62]), f"{DAMAGED}invalid"),
        (lambda h: h["weights.0"].update(data_offsets=[-8, 8]), f"{DAMAGED}invalid JSON in header"),
        (
            lambda h: h.update({f"t{n}": {"dtype": "F64"} for n in range(LARGEST_COUNT)}),
            f"has more than {LARGEST_COUNT} tensors",
        ),
    ],
)
def test_hostile_headers_are_refused_in_one_line(
    change: Callable[[Header], object], expected: str, written: Path
) -> None:
    header, body = parts(written)
    change(header)
    assert message(write(written, header, body)).startswith(expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, written: Path) -> None:
    header, body = parts(written)
    begin = header["weights.0"]["data_offsets"][0]
    spoiled = body[:begin] + np.float64(value).tobytes() + body[begin + 8 :]
    assert message(write(written, header, spoiled)) == "weight.0 contains NaN or infinity"


def test_a_key_that_stands_twice_is_refused(written: Path) -> None:
    header, body = parts(written)
    text = json.dumps(header).encode()
    twice = text[:-1] + b", " + json.dumps({"biases.0": header["biases.0"]}).encode()[1:]
    assert message(write(written, twice, body)) == f"{DAMAGED}its header is not plain JSON"


def test_lengths_that_lie_are_refused(written: Path) -> None:
    whole = written.read_bytes()
    body = whole[8:]
    for length in (len(body) + 1, 1 << 40, (1 << 64) - 1):
        written.write_bytes(length.to_bytes(8, "little") + body)
        assert message(written) == f"{DAMAGED}it declares a header of {length} bytes, but has only {len(body)} more"
    written.write_bytes(b"\x02")
    assert message(written) == f"{DAMAGED}it declares a header of 2 bytes, but has only 0 more"
    large = LARGEST_HEADER + 1
    assert message(write(written, b" " * large, b"")) == f"has a header of {large} bytes, more than {LARGEST_HEADER}"
    assert message(write(written, b"[]", b"")) == f"{DAMAGED}its header is not an object"
    assert message(write(written, b"\xff{", b"")) == f"{DAMAGED}its header is not plain JSON"
    written.write_bytes(whole + b"x")
    assert message(written).startswith(f"{DAMAGED}incomplete metadata")


def test_every_cut_is_refused(written: Path) -> None:
    whole = written.read_bytes()
    for length in range(0, len(whole), 61):
        written.write_bytes(whole[:length])
        message(written)


def test_a_file_that_is_too_large_is_not_read(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_file, "LARGEST_FILE", 100)
    with pytest.raises(FileError) as caught:
        read_safetensors(written)
    assert str(caught.value) == f"{written}: is larger than 100 bytes"

"""Checkpoints as safetensors: a JSON header with the spec, then the tensors."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzz.mutations import json_changed, plain_changed
from fuzz.networks import require_model
from fuzz.oracle import require
from fuzz.target import ROOT, Change, Target
from pisnn_deploy.training.checkpoint import read_checkpoint, write_checkpoint
from pisnn_deploy.training.checkpoint_file import SCHEMA
from pisnn_deploy.training.safetensors_file import METADATA, read_safetensors

PREFIX = 8


def _seeds(folder: Path) -> list[bytes]:
    contents = []
    for name in ("heat1d", "laplace2d", "burgers1d"):
        model = read_checkpoint(ROOT / "models" / name / "model.pt")
        path = folder / f"{name}.safetensors"
        write_checkpoint(path, model, {"epochs": 3, "loss": 0.5})
        contents.append(path.read_bytes())
    return contents


def _read(path: Path) -> None:
    for array in read_safetensors(path).arrays.values():
        float(array.sum(dtype=np.float64))
    model = read_checkpoint(path)
    require_model(model)
    copy = path.with_name("copy.safetensors")
    write_checkpoint(copy, model, {})
    again = read_checkpoint(copy)
    arrays = zip((*model.weights, *model.biases), (*again.weights, *again.biases), strict=True)
    require(again.spec == model.spec, "a spec reads differently once it is written")
    require(
        all(np.array_equal(before, after) for before, after in arrays), "weights read differently once they are written"
    )


def changed(random: Random, content: bytes, change: Change) -> bytes:
    """Change the JSON header and update its length, or change bytes."""
    end = PREFIX + int.from_bytes(content[:PREFIX], "little")
    if random.random() < 0.2:
        return change(content, len(content) + 64)
    header: Any = json.loads(content[PREFIX:end])
    if random.random() < 0.5:
        text = header[METADATA][SCHEMA].encode()
        header[METADATA][SCHEMA] = json_changed(random, text, change).decode(errors="replace")
    else:
        header = plain_changed(random, header, change)
    made = json.dumps(header).encode()
    return len(made).to_bytes(PREFIX, "little") + made + content[end:]


TARGET = Target("input.safetensors", _read, _seeds, changed, size=1 << 14)

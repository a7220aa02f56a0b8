"""Flux networks in lava-dl's layout, as the tree that its HDF5 file holds."""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fuzz.mutations import Archive
from fuzz.networks import KERNEL, import_tree, model_of_zoo, packed_tree, require_model
from fuzz.target import Target
from pisnn_deploy.formats.netx.reader import read_netx
from pisnn_deploy.formats.netx.writer import netx_file

SIGMA = {"type": "SDNN", "activation": "relu", "vThMant": 0, "sigma_output": True}
CUBA = {"type": "CUBA", "iDecay": 4096, "vDecay": 0, "vThMant": 64}
CONV = {
    "type": "conv",
    "weight": KERNEL.reshape(1, 1, 8, 1) * 64,
    "neuron": SIGMA,
    "stride": np.ones(2),
    "dilation": np.ones(2),
    "padding": np.zeros(2),
    "groups": 1,
}


def _dense(kernel: Any, **changes: Any) -> dict[str, Any]:
    weight = np.atleast_2d(64 * kernel).astype(np.float32)
    plain = {"type": "dense", "inFeatures": weight.shape[1], "outFeatures": weight.shape[0], "weight": weight}
    return {**plain, "neuron": SIGMA, **changes}


def _seeds(folder: Path) -> list[bytes]:
    spiking = [
        {"type": "input", "shape": np.array([8]), "weight": 64, "bias": np.zeros(1)},
        _dense(np.eye(8), neuron=CUBA, delay=np.zeros(8)),
        _dense(KERNEL, neuron=CUBA),
    ]
    ours = netx_file(model_of_zoo("heat1d"))
    return [packed_tree(data) for data in (ours, _file([CONV]), _file(spiking), _file([_dense(KERNEL)]))]


def _file(layers: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number, layer in enumerate(layers):
            _fill(file.create_group(f"layer/{number}"), layer)
    return buffer.getvalue()


def _fill(group: Any, content: dict[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, dict):
            _fill(group.create_group(name), value)
        elif name == "type" and value in ("input", "dense", "conv"):
            group.create_dataset("type", (1,), "S10", [value.encode()])
        else:
            group[name] = value


def _read(path: Path) -> None:
    require_model(import_tree(path, "layer", read_netx).model)


TARGET = Target("input.net", _read, _seeds, Archive(), size=1 << 14)

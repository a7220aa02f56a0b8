"""Write flux networks in lava-dl's HDF5 layout, which ``lava.lib.dl.netx.hdf5.Network`` reads.

lava-dl has no C-LIF, and netx silently skips unknown layers. The last layer is therefore a dense layer into a sigma
neuron, which computes C-LIF's drive in delta coding; the parameters of the flux compartment are in additional datasets
that netx ignores.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy import __version__
from pisnn_deploy.core.optional import require
from pisnn_deploy.physics.model import Model

SCHEMA = "pisnn-deploy/netx"
VERSION = 1
GROUP = "pisnn"
"""Group of this package's data, at the root and in each layer."""
MANTISSAS_PER_WEIGHT = 2
"""Mixed-sign mantissas are even on Loihi: the integer weight 1 is the mantissa 2."""
LARGEST_MANTISSA = 254
"""netx clips larger mantissas."""


def mantissas(model: Model, layer: int) -> NDArray[np.int64]:
    """Mantissas of a layer, int64 [outputs, inputs], even."""
    unit = model.spec.weight_unit if layer == 0 else 1
    scale = 2.0 ** model.spec.weight_exponents[layer]
    rounded: NDArray[np.int64] = np.rint(model.weights[layer] * scale / unit).astype(np.int64)
    return MANTISSAS_PER_WEIGHT * unit * rounded


def clipped_layers(model: Model) -> list[int]:
    """Indices of the layers whose mantissas netx would clip."""
    return [at for at in range(len(model.weights)) if np.abs(mantissas(model, at)).max() > LARGEST_MANTISSA]


def netx_file(model: Model, *, is_integer: bool = False) -> bytes:
    """Write a flux network as an HDF5 file in lava-dl's layout (docs/reference/formats.md).

    Parameters
    ----------
    is_integer : bool
        Whether the weights represent the integers of an artifact, which must be kept.

    Returns
    -------
    bytes
        HDF5 file, reproducible byte for byte.

    Raises
    ------
    UsageError
        h5py is not installed.
    """
    require("export --to netx", "h5py")
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        ours = file.create_group(GROUP)
        ours["schema"], ours["version"] = SCHEMA, VERSION
        ours["integer"] = int(is_integer)
        ours["package"] = f"pisnn-deploy {__version__}"
        ours["spec"] = json.dumps(model.spec.model_dump(mode="json"), sort_keys=True)
        layers = file.create_group("layer")
        window = model.spec.layer_shapes[0][1]
        _typed(layers.create_group("0"), "input")["shape"] = np.array([window])
        for number in range(len(model.weights)):
            _write_layer(_typed(layers.create_group(str(number + 1)), "dense"), model, number)
    return buffer.getvalue()


def _typed(group: Any, kind: str) -> Any:
    group.create_dataset("type", (1,), "S10", [kind.encode("ascii")])
    return group


def _write_layer(group: Any, model: Model, number: int) -> None:
    spec = model.spec
    outputs, inputs = model.weights[number].shape
    exponent = spec.weight_exponents[number]
    group["shape"] = np.array([outputs])
    group["inFeatures"], group["outFeatures"] = inputs, outputs
    group["weight"] = mantissas(model, number).astype(np.float32)
    neuron = group.create_group("neuron")
    neuron["type"] = np.bytes_("SDNN")
    neuron["vThMant"] = 0
    ours = group.create_group(GROUP)
    ours["weight"], ours["bias"] = model.weights[number], model.biases[number]
    ours["weightExponent"] = exponent
    if number + 1 < len(model.weights):
        neuron["activation"] = np.bytes_("relu")
        ours["shift"] = exponent
        return
    neuron["activation"] = np.bytes_("identity")
    neuron["sigma_output"] = True
    ours["neuron"] = np.bytes_("CLIF")
    ours["iDecay"] = spec.leak
    ours["thresholdExponent"] = exponent

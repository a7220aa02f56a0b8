"""Checkpoints of trained laws as safetensors."""

from pathlib import Path
from typing import Any

import numpy as np

from fuzz.oracle import require
from fuzz.target import Target
from fuzz.targets.checkpoint_safetensors import changed
from pisnn_deploy.laws.flux_network import FluxNetwork, TrainedFluxes, TrainedLaw
from pisnn_deploy.laws.flux_network_flaws import trained_flaws
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.training.checkpoint import read_law_checkpoint, write_law_checkpoint

TRAFFIC: dict[str, Any] = {
    "name": "traffic",
    "law": {"fields": ["u"], "flux": {"u": "u*(1 - u)"}, "sources": {"u": "-0.1*u"}},
    "domain": {"lengths": 1, "boundary": {"left": {"held": 0.5}, "right": "outflow"}},
    "initial": {"u": "0.5"},
    "range": {"u": [0, 1]},
    "time": 1,
    "mesh": [8],
    "method": "trained",
}
WAVES: dict[str, Any] = {
    "name": "waves",
    "law": {"fields": ["p", "v", "w"], "flux": {"p": "v", "v": "p"}, "flux_y": {"p": "w", "w": "p"}},
    "domain": {"lengths": [1, 2], "boundary": "periodic"},
    "initial": {"p": "0.5*cos(2*pi*x)", "v": "0", "w": "0"},
    "range": {"p": [-1, 1], "v": [-1, 1], "w": [-1, 1]},
    "time": 1,
    "mesh": [4, 8],
    "method": "trained",
}


def _seeds(folder: Path) -> list[bytes]:
    contents = []
    for recipe in (TRAFFIC, WAVES):
        spec, path = LawSpec.model_validate(recipe), folder / f"{recipe['name']}.safetensors"
        fields, axes = len(spec.law.fields), spec.dimensions
        offsets = np.zeros((2, axes), np.int64)
        networks = []
        for axis in range(axes):
            along = offsets.copy()
            along[1, axis] = 1
            weight = np.arange(-fields, fields, dtype=np.float64).reshape(1, fields, 2) / 16
            output = np.ones((fields, 1)) / 32
            networks.append(FluxNetwork(along, weight, np.ones(1), output, np.zeros(fields), 4, 5))
        spacing = tuple(length / cells for length, cells in zip(spec.lengths, spec.mesh, strict=True))
        law = TrainedLaw(spec, TrainedFluxes(tuple(networks), (0,) * fields, 0.01, spacing))
        write_law_checkpoint(path, law, {"loss": 0.5})
        contents.append(path.read_bytes())
    return contents


def _read(path: Path) -> None:
    law = read_law_checkpoint(path)
    require(not trained_flaws(law), "a law was accepted that has flaws")
    copy = path.with_name("copy.safetensors")
    write_law_checkpoint(copy, law, {})
    again = read_law_checkpoint(copy)
    require(again.spec == law.spec, "a spec reads differently once it is written")
    networks = zip(law.fluxes.networks, again.fluxes.networks, strict=True)
    require(
        all(np.array_equal(vars(a)[name], vars(b)[name]) for a, b in networks for name in vars(a))
        and vars(again.fluxes) | {"networks": ()} == vars(law.fluxes) | {"networks": ()},
        "fluxes read differently once they are written",
    )


TARGET = Target("input.safetensors", _read, _seeds, changed, size=1 << 14)
"""Mutations as for checkpoints of models."""

"""Flux networks as NIR graphs (trees of the HDF5 file), compared with the graph's own output."""

from pathlib import Path

import nir
import numpy as np

from fuzz.flux_files import KERNEL, nir_bytes
from fuzz.mutations import Archive
from fuzz.networks import import_tree, model_of_zoo, packed_tree, require_model
from fuzz.target import Target
from pisnn_deploy.formats.nir.reader import read_nir
from pisnn_deploy.formats.nir.writer import network_file


def _seeds(folder: Path) -> list[bytes]:
    chain = nir_bytes(
        nir.Affine(weight=np.tile(KERNEL, (2, 1)), bias=np.zeros(2)),
        nir.Scale(np.full(2, 0.5)),
        nir.Linear(weight=np.ones((1, 2))),
    )
    conv = nir_bytes(nir.Conv1d(12, KERNEL[None, None], 1, 0, 1, 1, np.zeros(1)), size=(1, 12))
    return [packed_tree(data) for data in (network_file(model_of_zoo("heat1d")), chain, conv)]


def _read(path: Path) -> None:
    require_model(import_tree(path, "node", read_nir).model)


TARGET = Target("input.nir", _read, _seeds, Archive(), size=1 << 14)

"""Whatever stands where something else is expected in an HDF5 file ends in one line or in a model, not a traceback."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from models_under_test import heat_model, hidden_model

from fuzz.flux_files import CONV, KERNEL, SPIKING, lava_dl_bytes, nir_bytes, tree_of
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.formats.assembly import assemble
from pisnn_deploy.formats.network import Request
from pisnn_deploy.formats.netx.reader import read_netx
from pisnn_deploy.formats.netx.writer import netx_file
from pisnn_deploy.formats.nir.reader import read_nir
from pisnn_deploy.formats.nir.writer import network_file

FILES: dict[str, list[Callable[[], bytes]]] = {
    "netx": [
        lambda: netx_file(heat_model()),
        lambda: netx_file(hidden_model((3,))),
        lambda: lava_dl_bytes([CONV]),
        lambda: lava_dl_bytes(SPIKING),
    ],
    "nir": [
        lambda: network_file(heat_model()),
        lambda: nir_bytes(
            nir.Affine(weight=np.tile(KERNEL, (2, 1)), bias=np.zeros(2)),
            nir.Scale(np.ones(2)),
            nir.Linear(weight=np.ones((1, 2))),
            metadata={"pisnn_spec": '{"leak": 10}'},
        ),
        lambda: nir_bytes(nir.Conv1d(12, KERNEL[None, None], 1, 0, 1, 1, np.zeros(1)), size=(1, 12)),
    ],
}
READERS: dict[str, Any] = {"netx": read_netx, "nir": read_nir}
WRONG: list[Any] = [
    *(np.array(value) for value in (np.nan, [], 1e300, [1e200, np.inf], -1, 0, 2**62, True, [[1.0]], 2.5, [1, 2, 3])),
    *(np.zeros((0, 8)), np.ones((2, 3, 4)), np.frombuffer(b"\x01\x00\xa0\x7f", np.float32)),
    *("text", ["a", "b"], {}, "relu", "conv", "NIRGraph", "Conv1d", "{}", '{"lengths": [1, 1]}', '{"hidden": 5}'),
]


def groups(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Groups that hold something, the tree itself first."""
    inner = [group for value in tree.values() if isinstance(value, dict) for group in groups(value)]
    return [tree, *inner] if tree else inner


@pytest.mark.parametrize("name", FILES)
def test_damaged_trees_end_in_one_line(name: str) -> None:
    generator, refused, runs = random.Random(2), 0, 300
    trees = [tree_of(made()) for made in FILES[name]]
    for _ in range(runs):
        tree: dict[str, Any] = copy.deepcopy(generator.choice(trees))
        for _ in range(generator.choice((1, 1, 2))):
            group = generator.choice(groups(tree)[1:])
            key = generator.choice(list(group))
            if generator.random() < 0.15:
                del group[key]
            else:
                group[key] = copy.deepcopy(generator.choice(WRONG))
        number = generator.choice((None, 0.2, float("nan"), -1.0))
        try:
            # As `import_model` does: what overflows is refused as not finite.
            with np.errstate(all="ignore"):
                network = READERS[name](Path(name), tree)
                assemble(
                    Path(name), network, Request(generator.choice(("heat1d", None, "burgers1d", "heat2d")), number)
                )
        except PisnnError as error:
            assert "\n" not in str(error) and error.exit_code == 2
            refused += 1
    assert runs > refused > runs // 2

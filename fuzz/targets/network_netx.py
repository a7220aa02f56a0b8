"""Flux networks in lava-dl's layout, as the tree of the HDF5 file."""

from pathlib import Path

from fuzz.flux_files import CONV, SPIKING, dense_layer, lava_dl_bytes
from fuzz.mutations import Archive
from fuzz.networks import import_tree, model_of_zoo, packed_tree, require_model
from fuzz.target import Target
from pisnn_deploy.formats.netx.reader import read_netx
from pisnn_deploy.formats.netx.writer import netx_file


def _seeds(folder: Path) -> list[bytes]:
    others = [lava_dl_bytes(layers) for layers in ([CONV], SPIKING, [dense_layer()])]
    return [packed_tree(data) for data in (netx_file(model_of_zoo("heat1d")), *others)]


def _read(path: Path) -> None:
    require_model(import_tree(path, "layer", read_netx).model)


TARGET = Target("input.net", _read, _seeds, Archive(), size=1 << 14)

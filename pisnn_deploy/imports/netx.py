"""Flux networks from lava-dl's HDF5 layout: what its blocks export, and what `pisnn_deploy.exports.netx` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.arithmetic import MEMORYLESS
from pisnn_deploy.errors import FileError
from pisnn_deploy.exports.netx import GROUP, MANTISSAS_PER_WEIGHT, SCHEMA, VERSION
from pisnn_deploy.imports.affine import AffineForm, FormError, Layer, form_of
from pisnn_deploy.imports.hdf5_reader import Tree
from pisnn_deploy.imports.network import Network, ended
from pisnn_deploy.imports.said import said_of

LARGEST_LAYERS = 32
WEIGHT_SCALE = 64
"""lava-dl's ``w_scale``: a slayer weight of 1 is the mantissa 64."""
RECTIFIERS = ("relu",)
IDENTITIES = ("identity", "linear", "unit")
"""Names of the activation functions that are known; lava-dl writes the ``__name__`` of what it was given."""


def read_netx(path: Path, tree: Tree) -> Network:
    """Read a flux network.

    Parameters
    ----------
    path : Path
        For messages.
    tree : Tree
        The file's content.

    Returns
    -------
    Network

    Raises
    ------
    FileError
        Not lava-dl's layout, or a layer that a flux network does not have; the message names it.
    """
    layers = tree["layer"]
    if not isinstance(layers, dict) or sorted(layers, key=str) != sorted(map(str, range(len(layers)))):
        raise FileError(path, "must hold the groups 0, 1, ...", field="layer")
    if not 0 < len(layers) <= LARGEST_LAYERS:
        raise FileError(path, f"holds {len(layers)} layers, 1 to {LARGEST_LAYERS} are read", field="layer")
    groups = [_Group(path, f"layer/{at}", layers[str(at)]) for at in range(len(layers))]
    ours = tree.get(GROUP)
    if ours is not None:
        return _own(path, _Group(path, GROUP, ours), groups)
    return _Course(path, groups).network()


@dataclass(frozen=True)
class _Group:
    """A group whose entries are looked up by name and kind."""

    path: Path
    name: str
    content: Any

    def __post_init__(self) -> None:
        if not isinstance(self.content, dict):
            raise FileError(self.path, "must be a group", field=self.name)

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def error(self, key: str, problem: str, remedy: str = "") -> FileError:
        return FileError(self.path, problem, field=f"{self.name}/{key}", remedy=remedy)

    def group(self, key: str) -> _Group:
        return _Group(self.path, f"{self.name}/{key}", self.content.get(key, {}))

    def text(self, key: str) -> str:
        value = self.content.get(key)
        if not isinstance(value, str):
            raise self.error(key, "is missing or no text")
        return value

    def numbers(self, key: str) -> NDArray[np.float64]:
        value = self.content.get(key)
        if not isinstance(value, np.ndarray):
            raise self.error(key, "is missing or not an array of numbers")
        with np.errstate(invalid="ignore"):
            return value.astype(np.float64)

    def number(self, key: str) -> int:
        found = self.numbers(key)
        if found.size != 1 or not float(found.reshape(-1)[0]).is_integer():
            raise self.error(key, "must be one integer")
        return int(found.reshape(-1)[0])


def _own(path: Path, ours: _Group, groups: list[_Group]) -> Network:
    """A network that this package wrote: the trained weights stand beside the mantissas and must round to them."""
    if ours.text("schema") != SCHEMA or ours.number("version") != VERSION:
        raise ours.error("schema", f"must be {SCHEMA}, version {VERSION}")
    said: Mapping[str, Any] = said_of(path, ours.text("spec"), f"{GROUP}/spec")
    unit = 2 if said.get("wall") == "quadratic" else 1
    found: list[Layer] = []
    for group in groups[1:]:
        inner = group.group(GROUP)
        weight, bias = inner.numbers("weight"), inner.numbers("bias")
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise inner.error("weight", f"has shape {weight.shape}, its bias {bias.shape}")
        exponent = inner.number("weightExponent")
        if not 1 <= exponent <= 14:
            raise inner.error("weightExponent", f"is {exponent}, outside 1 to 14")
        unit = unit if not found else 1
        rounded = MANTISSAS_PER_WEIGHT * unit * np.rint(weight * 2.0**exponent / unit)
        if not np.array_equal(rounded, group.numbers("weight")):
            raise group.error(
                "weight",
                f"is not what {group.name}/{GROUP}/weight rounds to",
                f"delete the groups {GROUP} to import the mantissas as a network of lava-dl",
            )
        found.append(Layer(weight, bias))
    if not found:
        raise FileError(path, "holds no layer of weights", field="layer")
    return Network("netx", tuple(found), (found[0].weight.shape[1],), said, is_integer=bool(ours.number("integer")))


@dataclass
class _Course:
    """The layers of a network of lava-dl, followed through one window."""

    path: Path
    groups: list[_Group]
    notes: list[str] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict)

    def network(self) -> Network:
        window, form = self._window()
        for at, group in enumerate(self.groups):
            try:
                form = self._layer(group, form, is_last=at + 1 == len(self.groups))
            except FormError as error:
                raise FileError(self.path, str(error), field=group.name) from error
        try:
            layers = ended(form)
        except FormError as error:
            raise FileError(self.path, str(error), field=self.groups[-1].name) from error
        return Network("netx", layers, window, self.said, tuple(self.notes))

    def _window(self) -> tuple[tuple[int, ...], AffineForm]:
        """Window of the network: the inputs of its first dense layer, or what its convolutions see."""
        kinds = [group.text("type") for group in self.groups]
        weighted = [at for at, kind in enumerate(kinds) if kind in ("dense", "conv")]
        if not weighted:
            raise FileError(self.path, "holds no dense or conv layer", field="layer")
        first = self.groups[weighted[0]]
        try:
            if kinds[weighted[0]] == "dense":
                inputs = _dense_weight(first).shape[1]
                return (inputs,), form_of((inputs,))
            reach = [1, 1]
            for at in weighted:
                if kinds[at] == "conv":
                    kernel, dilation = _kernel(self.groups[at])
                    reach = [
                        size + (wide - 1) * step
                        for size, wide, step in zip(reach, kernel.shape[2:], dilation, strict=True)
                    ]
            channels = _kernel(first)[0].shape[1]
            seen = tuple(size for size in reach if size > 1) or (1,)
            return (seen if channels == 1 else (channels * reach[0] * reach[1],)), form_of((channels, *reach))
        except FormError as error:
            raise FileError(self.path, str(error), field=first.name) from error

    def _layer(self, group: _Group, form: AffineForm, *, is_last: bool) -> AffineForm:
        kind = group.text("type")
        if kind == "flatten":
            return form.reshaped((form.bias.size,))
        if kind == "input":
            return self._input(group, form)
        if kind not in ("dense", "conv"):
            raise group.error("type", f"{kind!r} is no layer of a flux network; known are input, dense, conv, flatten")
        self._require_plain(group)
        if kind == "dense":
            form = form.reshaped((form.bias.size,)).dense(_dense_weight(group))
        else:
            kernel, dilation = _kernel(group)
            if "padding" in group and group.numbers("padding").any():
                self.notes.append(f"the padding of {group.name} was left out: --boundary says what is beyond a side")
            form = form.convolved(kernel, dilation=dilation)
        return self._neuron(group, form, is_last=is_last)

    def _input(self, group: _Group, form: AffineForm) -> AffineForm:
        if "bias" in group and group.numbers("bias").any():
            raise group.error("bias", "shifts the cell values, which lava-dl and netx do in different units")
        return form.scaled(group.number("weight") / WEIGHT_SCALE) if "weight" in group else form

    def _require_plain(self, group: _Group) -> None:
        """What would change the network and has no counterpart."""
        if "delay" in group and group.numbers("delay").any():
            raise group.error("delay", "delays spikes, a flux follows from the cells of the same PDE step")
        if "bias" in group and group.numbers("bias").any():
            raise group.error(
                "bias",
                "is added as it is by slayer and as a mantissa by netx, so its unit is unknown",
                "train without norm",
            )

    def _neuron(self, group: _Group, form: AffineForm, *, is_last: bool) -> AffineForm:
        """What the neurons of a layer make of their drive, in units of the cell value."""
        if "neuron" not in group:
            return form.scaled(1 / WEIGHT_SCALE)
        neuron = group.group("neuron")
        kind = neuron.text("type")
        if kind == "SDNN":
            return self._sigma_delta(neuron, form.scaled(1 / WEIGHT_SCALE))
        if kind in ("CUBA", "LOIHI"):
            return self._cuba(neuron, form, is_last=is_last)
        raise neuron.error("type", f"{kind!r} is no neuron of a flux network; known are SDNN, CUBA")

    def _sigma_delta(self, neuron: _Group, form: AffineForm) -> AffineForm:
        threshold = neuron.number("vThMant") if "vThMant" in neuron and "sigma_output" not in neuron else 0
        if threshold:
            self.notes.append(
                f"the sending threshold of {neuron.name} ({threshold}/64) was left out: every change is sent"
            )
        if "sigma_output" in neuron or neuron.text("activation") in IDENTITIES:
            return form
        if neuron.text("activation") in RECTIFIERS:
            return form.rectified()
        known = ", ".join((*RECTIFIERS, *IDENTITIES))
        raise neuron.error("activation", f"{neuron.text('activation')!r} is unknown; known are {known}")

    def _cuba(self, neuron: _Group, form: AffineForm, *, is_last: bool) -> AffineForm:
        """Integrate and fire: a packet for each threshold, or the rate of one, which is a rectifier."""
        threshold, current, voltage = (neuron.number(key) for key in ("vThMant", "iDecay", "vDecay"))
        if threshold < 1:
            raise neuron.error("vThMant", f"is {threshold}, a threshold is positive")
        if voltage:
            raise neuron.error("vDecay", f"is {voltage}: what leaks from a voltage would be lost, it must be 0")
        form = form.scaled(1 / threshold)
        if is_last:
            if not 1 <= current <= MEMORYLESS:
                raise neuron.error("iDecay", f"is {current}, the leak of a flux compartment is 1 to {MEMORYLESS}")
            self.said["leak"] = current
            self.notes.append(f"{neuron.name} became C-LIF: signed packets, and a reset that keeps what did not fire")
            return form
        if current != MEMORYLESS:
            raise neuron.error(
                "iDecay", f"is {current}: a hidden layer with a memory is not supported, it must be {MEMORYLESS}"
            )
        self.notes.append(f"the spikes of {neuron.name} were taken by their rate: a rectifier")
        return form.rectified()


def _dense_weight(group: _Group) -> NDArray[np.float64]:
    if isinstance(group.content.get("weight"), dict):
        raise group.error("weight", "is complex, a flux is real")
    weight = group.numbers("weight")
    outputs = group.number("outFeatures") if weight.ndim == 1 and "outFeatures" in group else 0
    if weight.ndim == 1 and outputs > 0 and weight.size % outputs == 0:
        weight = weight.reshape(outputs, -1)
    if weight.ndim != 2 or 0 in weight.shape:
        raise group.error("weight", f"has shape {weight.shape}, expected outputs and inputs")
    return weight


def _kernel(group: _Group) -> tuple[NDArray[np.float64], tuple[int, int]]:
    if isinstance(group.content.get("weight"), dict):
        raise group.error("weight", "is complex, a flux is real")
    weight = group.numbers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or 0 in weight.shape:
        raise group.error("weight", f"has shape {weight.shape}, expected outputs, channels and two axes")
    if "groups" in group and group.number("groups") != 1:
        raise group.error("groups", f"is {group.number('groups')}, one is allowed")
    if "stride" in group and (group.numbers("stride") != 1).any():
        raise group.error("stride", "must be 1: a flux is wanted at every face")
    steps = group.numbers("dilation").reshape(-1) if "dilation" in group else np.ones(2)
    steps = np.repeat(steps, 2) if steps.size == 1 else steps
    if steps.size != 2 or not ((steps >= 1) & (steps <= 64)).all():
        raise group.error("dilation", "must be one or two numbers from 1 to 64")
    return weight, (int(steps[0]), int(steps[1]))

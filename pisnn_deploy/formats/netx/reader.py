"""Flux networks from lava-dl's HDF5 layout: what its blocks export, and what `formats.netx.writer` writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.affine import AffineForm, FormError, Layer, form_of
from pisnn_deploy.formats.defaults import limits_of
from pisnn_deploy.formats.network import Network, Request, ended
from pisnn_deploy.formats.netx.hdf5_reader import Tree
from pisnn_deploy.formats.netx.layers import (
    SIZES,
    Group,
    dense_weight,
    kernel_of,
    padding_of,
    require_sizes,
    seen_by,
    shape_before,
)
from pisnn_deploy.formats.netx.writer import GROUP, MANTISSAS_PER_WEIGHT, SCHEMA, VERSION
from pisnn_deploy.formats.padding import padded
from pisnn_deploy.formats.saturation import clipped
from pisnn_deploy.formats.spec_text import said_of
from pisnn_deploy.formats.windows import FLOAT32, Limits

LARGEST_LAYERS = 32
WEIGHT_SCALE = 64
"""lava-dl's ``w_scale``: a slayer weight of 1 is the mantissa 64."""
RECTIFIERS = ("relu",)
IDENTITIES = ("identity", "linear", "unit")
"""Names of the activation functions that are known; lava-dl writes the ``__name__`` of what it was given."""


LARGEST_WEIGHT_EXPONENT = 3
"""To which lava-dl's norm clamps the exponent that it uses, unless told otherwise, and the one that it writes not."""
VOLTAGE_THRESHOLD = (1 << 18) - 1
"""With this threshold lava-dl's Affine block marks neurons that answer with their voltage."""
CELL_LIMITS = (-256 / WEIGHT_SCALE, 254 / WEIGHT_SCALE)
"""To these lava-dl's input blocks clip what they are given, in steps of 2 / 64."""
FIELDS = {
    "input": {"type", "shape", "weight", "bias", "neuron"},
    "flatten": {"type", "shape"},
    "dense": {"type", "shape", "weight", "bias", "delay", "neuron", GROUP, *SIZES["dense"]},
    "conv": {
        *("type", "shape", "weight", "bias", "delay", "neuron", GROUP, "stride", "padding", "dilation", "groups"),
        *SIZES["conv"],
    },
}
NEURON_FIELDS = {
    "SDNN": {"type", "activation", "vThMant", "sigma_output", "weight_exp"},
    "CUBA": {"type", "vThMant", "iDecay", "vDecay", "refDelay", "gradedSpike", "weight_exp"},
}
"""All fields that lava-dl writes and that are read here."""


def read_netx(path: Path, tree: Tree, request: Request | None = None) -> Network:
    """Read a flux network.

    Parameters
    ----------
    path : Path
        For messages.
    tree : Tree
        The file's content.
    request : Request, optional
        What the file does not say.

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
    groups = [Group(path, f"layer/{at}", layers[str(at)]) for at in range(len(layers))]
    ours = tree.get(GROUP)
    if ours is not None:
        return _own(path, Group(path, GROUP, ours), groups)
    unread = sorted(tree.keys() - {"layer", "simulation"}, key=str)
    if unread:
        raise FileError(path, "is not known, and might change the network; known is layer", field=str(unread[0]))
    course = _Course(path, groups, limits_of(request or Request(), {}))
    if "simulation" in tree:
        course.notes.append("the group simulation was left out: --steps says how long a run is")
    return course.network()


def _own(path: Path, ours: Group, groups: list[Group]) -> Network:
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
    groups: list[Group]
    limits: Limits | None
    notes: list[str] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    slides: bool = False
    said: dict[str, Any] = field(default_factory=dict)

    def network(self) -> Network:
        window, form = self._window()
        for at, group in enumerate(self.groups):
            try:
                form = self._layer(group, form, at)
            except FormError as error:
                raise FileError(self.path, str(error), field=group.name) from error
        try:
            layers = ended(form)
        except FormError as error:
            raise FileError(self.path, str(error), field=self.groups[-1].name) from error
        return Network("netx", layers, window, self.said, tuple(self.notes), clips=tuple(self.clips))

    def _window(self) -> tuple[tuple[int, ...], AffineForm]:
        """Window of the network.

        Convolutions alone slide over a line: their window is what they see. Else it has the declared shape.
        """
        weighted = [group for group in self.groups if group.text("type") in ("dense", "conv")]
        if not weighted:
            raise FileError(self.path, "holds no dense or conv layer", field="layer")
        first = weighted[0]
        try:
            if first.text("type") == "dense":
                shape: tuple[int, ...] = (dense_weight(first).shape[1],)
            else:
                self.slides = all(group.text("type") == "conv" for group in weighted)
                shape = seen_by(weighted) if self.slides else shape_before(first)
            given = self.groups[0]
            if given.text("type") == "input" and not self.slides and "shape" in given:
                given.require_size("shape", math.prod(shape))
            cells: tuple[int, ...] = (math.prod(shape),)
            if self.slides and shape[0] == 1:
                cells = tuple(size for size in shape if size > 1) or (1,)
            return cells, form_of(shape, self.limits and self.limits.of_window(cells, FLOAT32))
        except FormError as error:
            raise FileError(self.path, str(error), field=first.name) from error

    def _layer(self, group: Group, form: AffineForm, at: int) -> AffineForm:
        kind = group.text("type")
        if kind not in FIELDS:
            raise group.error("type", f"{kind!r} is no layer of a flux network; known are input, dense, conv, flatten")
        group.require(FIELDS[kind])
        if kind == "flatten":
            return form.reshaped((form.bias.size,))
        if kind == "input":
            return self._input(group, form, at)
        self._require_plain(group)
        if GROUP in group:
            self.notes.append(f"the group {group.name}/{GROUP} was left out: the mantissas are read")
        if kind == "dense":
            weight = dense_weight(group)
            require_sizes(group, weight.shape)
            form = form.reshaped((form.bias.size,)).dense(weight)
        else:
            kernel, dilation = kernel_of(group)
            require_sizes(group, kernel.shape)
            around = padding_of(group)
            if self.slides and any(around):
                self.notes.append(f"the padding of {group.name} was left out: --boundary says what is beyond a side")
            elif any(around):
                form = padded(form, [(0, 0), *((size, size) for size in around)])
            form = form.convolved(kernel, dilation=dilation)
        return self._neuron(group, form, is_last=at + 1 == len(self.groups))

    def _input(self, group: Group, form: AffineForm, at: int) -> AffineForm:
        if at:
            raise group.error("type", f"'input' is layer {at}, it must be the first")
        if "bias" in group and group.numbers("bias").any():
            raise group.error("bias", "shifts the cell values, which lava-dl and netx do in different units")
        if "neuron" in group:
            self._input_neuron(group.group("neuron"))
        return form.scaled(group.number("weight") / WEIGHT_SCALE) if "weight" in group else form

    def _input_neuron(self, neuron: Group) -> None:
        """Cell values that are rounded, clipped and sent by thresholds."""
        if neuron.text("type") != "SDNN":
            raise neuron.error("type", f"{neuron.text('type')!r} makes spikes of cell values, known is SDNN")
        neuron.require(NEURON_FIELDS["SDNN"] - {"weight_exp"})
        self._threshold(neuron)
        self.notes.append(
            f"the rounding of cell values to 1/32 by {neuron.name} was left out: the compiler rounds them"
        )
        least, largest = CELL_LIMITS
        if self.limits is None or self.limits.lower < least or self.limits.upper > largest:
            self.notes.append(
                f"the clipping of cell values to {least:g} to {largest:g} by {neuron.name} was left out"
                + (f": the operating range is {self.limits.lower:g} to {self.limits.upper:g}" if self.limits else "")
            )

    def _require_plain(self, group: Group) -> None:
        """What would change the network and has no counterpart."""
        if "delay" in group and group.numbers("delay").any():
            raise group.error("delay", "delays spikes, a flux follows from the cells of the same PDE step")
        if "bias" in group and group.numbers("bias").any():
            raise group.error(
                "bias",
                "is added as it is by slayer and as a mantissa by netx, so its unit is unknown",
                "train without norm",
            )

    def _neuron(self, group: Group, form: AffineForm, *, is_last: bool) -> AffineForm:
        """What the neurons of a layer make of their drive, in units of the cell value."""
        if "neuron" not in group:
            return form.scaled(1 / WEIGHT_SCALE)
        neuron = group.group("neuron")
        kind = neuron.text("type").replace("LOIHI", "CUBA")
        if kind not in NEURON_FIELDS:
            raise neuron.error("type", f"{kind!r} is no neuron of a flux network; known are {', '.join(NEURON_FIELDS)}")
        neuron.require(NEURON_FIELDS[kind])
        form = form.scaled(self._norm(neuron) / WEIGHT_SCALE)
        return self._sigma_delta(neuron, form) if kind == "SDNN" else self._cuba(neuron, form, is_last=is_last)

    def _norm(self, neuron: Group) -> float:
        """By what a norm multiplies the drive: lava-dl divides it by a power of two."""
        if "weight_exp" not in neuron:
            return 1.0
        exponent = neuron.number("weight_exp")
        if abs(exponent) > LARGEST_WEIGHT_EXPONENT:
            raise neuron.error(
                "weight_exp",
                f"is {exponent}; lava-dl's norm uses at most {LARGEST_WEIGHT_EXPONENT} and writes the number "
                "unclamped, so the scale is unknown",
                "train without norm",
            )
        if exponent:
            self.notes.append(f"the weights of {neuron.name} were divided by 2^{exponent}, its weight_exp")
        return 2.0**-exponent

    def _threshold(self, neuron: Group) -> None:
        threshold = neuron.number("vThMant") if "vThMant" in neuron and "sigma_output" not in neuron else 0
        if threshold:
            self.notes.append(
                f"the sending threshold of {neuron.name} ({threshold}/64) was left out: every change is sent"
            )

    def _sigma_delta(self, neuron: Group, form: AffineForm) -> AffineForm:
        self._threshold(neuron)
        if "sigma_output" in neuron or neuron.text("activation") in IDENTITIES:
            return form
        if neuron.text("activation") in RECTIFIERS:
            return form.rectified()
        known = ", ".join((*RECTIFIERS, *IDENTITIES))
        raise neuron.error("activation", f"{neuron.text('activation')!r} is unknown; known are {known}")

    def _cuba(self, neuron: Group, form: AffineForm, *, is_last: bool) -> AffineForm:
        """Integrate and fire: a packet for each threshold, or the rate of one, which is a rectifier."""
        threshold, current, voltage = (neuron.number(key) for key in ("vThMant", "iDecay", "vDecay"))
        if threshold < 1:
            raise neuron.error("vThMant", f"is {threshold}, a threshold is positive")
        if threshold == VOLTAGE_THRESHOLD:
            raise neuron.error(
                "vThMant", f"is {threshold}, the mark of lava-dl's Affine block: its neurons answer with their voltage"
            )
        if voltage:
            raise neuron.error("vDecay", f"is {voltage}: what leaks from a voltage would be lost, it must be 0")
        if "refDelay" in neuron and neuron.number("refDelay") != 1:
            raise neuron.error(
                "refDelay", f"is {neuron.number('refDelay')}: neurons that rest after a spike are not supported"
            )
        is_graded = "gradedSpike" in neuron and bool(neuron.number("gradedSpike"))
        # A graded spike carries the voltage, which is not divided by the threshold.
        form = form if is_graded else form.scaled(WEIGHT_SCALE / threshold)
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
        if is_graded:
            self.notes.append(f"the graded spikes of {neuron.name} were taken by their mean: a rectifier")
            return form.rectified()
        self.notes.append(
            f"the spikes of {neuron.name} were taken by their rate, a rectifier that ends at 1; lava-dl's reset "
            "discards what exceeds the threshold, so its rates are 1, 1/2, 1/3, ..."
        )
        ended_at_1 = clipped(form.rectified(), 0.0, 1.0)
        if ended_at_1.below[-1].bias.size > form.bias.size:
            self.clips.append(f"{neuron.name} fires at most once in a time step")
        return ended_at_1

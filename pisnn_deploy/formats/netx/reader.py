"""Read flux networks in lava-dl's HDF5 layout: exports of its blocks, or files of `formats.netx.writer`."""

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
from pisnn_deploy.formats.spec_text import spec_fields_of
from pisnn_deploy.formats.windows import FLOAT32, Limits

LARGEST_LAYERS = 32
WEIGHT_SCALE = 64
"""lava-dl's ``w_scale``: a slayer weight of 1 is the mantissa 64."""
RECTIFIERS = ("relu",)
IDENTITIES = ("identity", "linear", "unit")
"""Names of supported activation functions; lava-dl writes their ``__name__``."""


LARGEST_WEIGHT_EXPONENT = 3
"""lava-dl's norm by default clamps the exponent that it uses to this value, but not the one that it writes."""
VOLTAGE_THRESHOLD = (1 << 18) - 1
"""Threshold by which lava-dl's Affine block marks neurons whose output is their voltage."""
CELL_LIMITS = (-256 / WEIGHT_SCALE, 254 / WEIGHT_SCALE)
"""Limits to which lava-dl's input blocks clip their input, in steps of 2 / 64."""
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
"""All fields that lava-dl writes and this reader supports."""


def read_netx(path: Path, tree: Tree, request: Request | None = None) -> Network:
    """Read a flux network.

    Parameters
    ----------
    path : Path
        File for error messages.
    tree : Tree
        Content of the file.
    request : Request, optional
        Information that the file lacks.

    Raises
    ------
    FileError
        The file does not have lava-dl's layout, or has an unsupported layer; the message names it.
    """
    layers = tree["layer"]
    if not isinstance(layers, dict) or sorted(layers, key=str) != sorted(map(str, range(len(layers)))):
        raise FileError(path, "must have the groups 0, 1, ...", field="layer")
    if not 0 < len(layers) <= LARGEST_LAYERS:
        raise FileError(path, f"has {len(layers)} layers, expected 1 to {LARGEST_LAYERS}", field="layer")
    groups = [Group(path, f"layer/{at}", layers[str(at)]) for at in range(len(layers))]
    ours = tree.get(GROUP)
    if ours is not None:
        return _own(path, Group(path, GROUP, ours), groups)
    unread = sorted(tree.keys() - {"layer", "simulation"}, key=str)
    if unread:
        raise FileError(path, "is unknown and might change the network; known is layer", field=str(unread[0]))
    course = _Course(path, groups, limits_of(request or Request(), {}))
    if "simulation" in tree:
        course.notes.append("the group simulation was ignored: --steps sets the length of a run")
    return course.network()


def _own(path: Path, ours: Group, groups: list[Group]) -> Network:
    """Read a network that this package wrote, whose trained weights must round to the mantissas."""
    if ours.text("schema") != SCHEMA or ours.number("version") != VERSION:
        raise ours.error("schema", f"must be {SCHEMA}, version {VERSION}")
    spec_fields: Mapping[str, Any] = spec_fields_of(path, ours.text("spec"), f"{GROUP}/spec")
    unit = 2 if spec_fields.get("wall") == "quadratic" else 1
    own_layers: list[Layer] = []
    for group in groups[1:]:
        inner = group.group(GROUP)
        weight, bias = inner.numbers("weight"), inner.numbers("bias")
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise inner.error("weight", f"has shape {weight.shape}, but its bias {bias.shape}")
        exponent = inner.number("weightExponent")
        if not 1 <= exponent <= 14:
            raise inner.error("weightExponent", f"must be from 1 to 14, not {exponent}")
        unit = unit if not own_layers else 1
        rounded = MANTISSAS_PER_WEIGHT * unit * np.rint(weight * 2.0**exponent / unit)
        if not np.array_equal(rounded, group.numbers("weight")):
            raise group.error(
                "weight",
                f"differs from {group.name}/{GROUP}/weight, rounded",
                f"delete the groups {GROUP} to import the mantissas as a network of lava-dl",
            )
        own_layers.append(Layer(weight, bias))
    if not own_layers:
        raise FileError(path, "has no layer with weights", field="layer")
    window = (own_layers[0].weight.shape[1],)
    return Network("netx", tuple(own_layers), window, spec_fields, is_integer=bool(ours.number("integer")))


@dataclass
class _Course:
    """Follows the layers of a lava-dl network through one window."""

    path: Path
    groups: list[Group]
    limits: Limits | None
    notes: list[str] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    slides: bool = False
    spec_fields: dict[str, Any] = field(default_factory=dict)

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
        return Network("netx", layers, window, self.spec_fields, tuple(self.notes), clips=tuple(self.clips))

    def _window(self) -> tuple[tuple[int, ...], AffineForm]:
        """Window of the network.

        Convolutions alone slide over a line: the window is their receptive field. Otherwise it has the declared shape.
        """
        weighted = [group for group in self.groups if group.text("type") in ("dense", "conv")]
        if not weighted:
            raise FileError(self.path, "has no dense or conv layer", field="layer")
        first = weighted[0]
        try:
            if first.text("type") == "dense":
                shape: tuple[int, ...] = (dense_weight(first).shape[1],)
            else:
                self.slides = all(group.text("type") == "conv" for group in weighted)
                shape = seen_by(weighted) if self.slides else shape_before(first)
            first_group = self.groups[0]
            if first_group.text("type") == "input" and not self.slides and "shape" in first_group:
                first_group.require_size("shape", math.prod(shape))
            cells: tuple[int, ...] = (math.prod(shape),)
            if self.slides and shape[0] == 1:
                cells = tuple(size for size in shape if size > 1) or (1,)
            return cells, form_of(shape, self.limits and self.limits.of_window(cells, FLOAT32))
        except FormError as error:
            raise FileError(self.path, str(error), field=first.name) from error

    def _layer(self, group: Group, form: AffineForm, at: int) -> AffineForm:
        kind = group.text("type")
        if kind not in FIELDS:
            raise group.error("type", f"{kind!r} is not supported; use input, dense, conv or flatten")
        group.require(FIELDS[kind])
        if kind == "flatten":
            return form.reshaped((form.bias.size,))
        if kind == "input":
            return self._input(group, form, at)
        self._require_plain(group)
        if GROUP in group:
            self.notes.append(f"the group {group.name}/{GROUP} was ignored: the mantissas are read")
        if kind == "dense":
            weight = dense_weight(group)
            require_sizes(group, weight.shape)
            form = form.reshaped((form.bias.size,)).dense(weight)
        else:
            kernel, dilation = kernel_of(group)
            require_sizes(group, kernel.shape)
            around = padding_of(group)
            if self.slides and any(around):
                self.notes.append(f"the padding of {group.name} was omitted: --boundary sets the boundary conditions")
            elif any(around):
                form = padded(form, [(0, 0), *((size, size) for size in around)])
            form = form.convolved(kernel, dilation=dilation)
        return self._neuron(group, form, is_last=at + 1 == len(self.groups))

    def _input(self, group: Group, form: AffineForm, at: int) -> AffineForm:
        if at:
            raise group.error("type", f"'input' must be the first layer, not layer {at}")
        if "bias" in group and group.numbers("bias").any():
            raise group.error("bias", "must be 0, because lava-dl and netx shift cell values in different units")
        if "neuron" in group:
            self._input_neuron(group.group("neuron"))
        return form.scaled(group.number("weight") / WEIGHT_SCALE) if "weight" in group else form

    def _input_neuron(self, neuron: Group) -> None:
        """Check the neuron of an input layer, whose rounding, clipping and thresholds are omitted."""
        if neuron.text("type") != "SDNN":
            raise neuron.error("type", f"{neuron.text('type')!r} is not supported for inputs; use SDNN")
        neuron.require(NEURON_FIELDS["SDNN"] - {"weight_exp"})
        self._threshold(neuron)
        self.notes.append(f"the rounding of cell values to 1/32 by {neuron.name} was omitted: the compiler rounds them")
        least, largest = CELL_LIMITS
        if self.limits is None or self.limits.lower < least or self.limits.upper > largest:
            self.notes.append(
                f"the clipping of cell values to {least:g} to {largest:g} by {neuron.name} was omitted"
                + (f": the operating range is {self.limits.lower:g} to {self.limits.upper:g}" if self.limits else "")
            )

    def _require_plain(self, group: Group) -> None:
        """Refuse delays and biases, which would change the network and have no counterpart."""
        if "delay" in group and group.numbers("delay").any():
            raise group.error("delay", "must be 0, because a flux depends on cells of the same PDE step")
        if "bias" in group and group.numbers("bias").any():
            raise group.error(
                "bias",
                "has an unknown unit, because slayer adds it unscaled and netx as a mantissa",
                "train without norm",
            )

    def _neuron(self, group: Group, form: AffineForm, *, is_last: bool) -> AffineForm:
        """Output of a layer's neurons, in units of the cell value."""
        if "neuron" not in group:
            return form.scaled(1 / WEIGHT_SCALE)
        neuron = group.group("neuron")
        kind = neuron.text("type").replace("LOIHI", "CUBA")
        if kind not in NEURON_FIELDS:
            raise neuron.error("type", f"{kind!r} is not supported; use {', '.join(NEURON_FIELDS)}")
        neuron.require(NEURON_FIELDS[kind])
        form = form.scaled(self._norm(neuron) / WEIGHT_SCALE)
        return self._sigma_delta(neuron, form) if kind == "SDNN" else self._cuba(neuron, form, is_last=is_last)

    def _norm(self, neuron: Group) -> float:
        """Factor of a norm: lava-dl divides the drive by a power of two."""
        if "weight_exp" not in neuron:
            return 1.0
        exponent = neuron.number("weight_exp")
        if abs(exponent) > LARGEST_WEIGHT_EXPONENT:
            raise neuron.error(
                "weight_exp",
                f"is {exponent}, but lava-dl's norm uses at most {LARGEST_WEIGHT_EXPONENT} and writes the number "
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
                f"the sending threshold of {neuron.name} ({threshold}/64) was omitted: every change is sent"
            )

    def _sigma_delta(self, neuron: Group, form: AffineForm) -> AffineForm:
        self._threshold(neuron)
        if "sigma_output" in neuron or neuron.text("activation") in IDENTITIES:
            return form
        if neuron.text("activation") in RECTIFIERS:
            return form.rectified()
        known = ", ".join((*RECTIFIERS, *IDENTITIES))
        raise neuron.error("activation", f"{neuron.text('activation')!r} is not supported; use {known}")

    def _cuba(self, neuron: Group, form: AffineForm, *, is_last: bool) -> AffineForm:
        """Integrate-and-fire neuron: a packet per threshold in the last layer, otherwise a rectifier of the rate."""
        threshold, current, voltage = (neuron.number(key) for key in ("vThMant", "iDecay", "vDecay"))
        if threshold < 1:
            raise neuron.error("vThMant", f"must be positive, not {threshold}")
        if threshold == VOLTAGE_THRESHOLD:
            raise neuron.error(
                "vThMant", f"is {threshold}, which marks neurons of lava-dl's Affine block, whose output is the voltage"
            )
        if voltage:
            raise neuron.error("vDecay", f"must be 0, not {voltage}: a leaking voltage would lose mass")
        if "refDelay" in neuron and neuron.number("refDelay") != 1:
            raise neuron.error(
                "refDelay", f"must be 1, not {neuron.number('refDelay')}: refractory neurons are not supported"
            )
        is_graded = "gradedSpike" in neuron and bool(neuron.number("gradedSpike"))
        # The payload of a graded spike is the voltage, not divided by the threshold.
        form = form if is_graded else form.scaled(WEIGHT_SCALE / threshold)
        if is_last:
            if not 1 <= current <= MEMORYLESS:
                raise neuron.error("iDecay", f"must be from 1 to {MEMORYLESS}, not {current}")
            self.spec_fields["leak"] = current
            self.notes.append(f"{neuron.name} became C-LIF, with signed packets and a reset that keeps the residue")
            return form
        if current != MEMORYLESS:
            raise neuron.error(
                "iDecay", f"must be {MEMORYLESS}, not {current}: hidden layers with memory are not supported"
            )
        if is_graded:
            self.notes.append(f"the graded spikes of {neuron.name} were replaced by their mean, a rectifier")
            return form.rectified()
        self.notes.append(
            f"the spikes of {neuron.name} were replaced by their rate, a rectifier up to 1; lava-dl's reset "
            "discards the excess over the threshold, so its rates are 1, 1/2, 1/3, ..."
        )
        ended_at_1 = clipped(form.rectified(), 0.0, 1.0)
        if ended_at_1.below[-1].bias.size > form.bias.size:
            self.clips.append(f"{neuron.name} fires at most once in a time step")
        return ended_at_1

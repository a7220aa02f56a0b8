"""Files of a graph in Verilog: the hardware, and a testbench that checks itself."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.formats.c.plan import Plan
from pisnn_deploy.formats.trace import traced
from pisnn_deploy.formats.verilog.architecture import Architecture
from pisnn_deploy.formats.verilog.parallel import PARALLEL, address_bits
from pisnn_deploy.formats.verilog.serial import SERIAL
from pisnn_deploy.formats.verilog.statements import module
from pisnn_deploy.formats.verilog.streamed import STREAMED
from pisnn_deploy.formats.verilog.texts import BENCH, CHIP, MAKE
from pisnn_deploy.formats.verilog.units import Hardware, hardware_of

LAYOUTS = (PARALLEL, STREAMED, SERIAL)
"""All layouts, the fastest first."""


def layout_named(name: str) -> Architecture:
    """A layout by its name."""
    return next(layout for layout in LAYOUTS if layout.name == name)


def verilog_files(plan: Plan, sha256: str = "", architecture: Architecture = PARALLEL) -> dict[str, bytes]:
    """Write a graph as Verilog.

    Parameters
    ----------
    sha256 : str
        Hash of the artifact, for a comment.
    architecture : Architecture
        `PARALLEL`, all neurons at once, `STREAMED`, by rows, or `SERIAL`, one after the other.

    Returns
    -------
    dict of str to bytes
        Content by file name, reproducible byte for byte.

    Raises
    ------
    UsageError
        The layout does not suit the graph; the message names those that do.
    """
    graph, hardware = plan.graph, hardware_of(plan)
    shape = "x".join(map(str, graph.mesh.shape))
    reason = architecture.refuses(hardware)
    if reason:
        others = [
            layout.name for layout in LAYOUTS if layout.name != architecture.name and not layout.refuses(hardware)
        ]
        remedy = f"use `{'` or `'.join(others)}`" if others else "choose a coarser mesh"
        raise UsageError(f"verilog: {graph.spec.name} cannot be {architecture.name}: {reason}; {remedy}")
    about = [f"// {graph.spec.name}, {shape} cells. One PDE step is {graph.time_step!r}."]
    about += [f"// A quantum of {field.name} is {field.value_per_quantum!r}." for field in graph.fields]
    about += [f"// Artifact {sha256}"] if sha256 else []
    programs = [line for unit in hardware.units if unit.operations for line in module(unit)]
    source = [*map(_plain, about), "`timescale 1ns / 1ns", "", *programs, *architecture.module(hardware), ""]
    steps, digest = traced(graph)
    hashed = "\n".join(_hashed(hardware, architecture))
    bench = BENCH.substitute(
        steps=steps,
        hash=f"{digest:016x}",
        ends="".join(_tied(hardware)),
        during=hashed if architecture.is_early else "",
        after="" if architecture.is_early else hashed,
    )
    files = {"pisnn.v": "\n".join(source), "bench.v": bench, "chip.v": _chip(hardware), "Makefile": MAKE.substitute()}
    return {name: text.encode("ascii") for name, text in files.items()} | architecture.tables(hardware)


def _plain(line: str) -> str:
    """A comment in ASCII on one line, whatever names an artifact has."""
    return "".join(character if character.isascii() and character.isprintable() else "?" for character in line)


def _chip(hardware: Hardware) -> str:
    """The network behind few pins."""
    masses = hardware.masses
    address, width = max(map(address_bits, masses)), max(array.bounds.bits for array in masses)
    fields = max(1, (len(masses) - 1).bit_length())
    top = fields + address + width - 1
    wires, ends, values = [], "", []
    for number, array in enumerate(masses):
        bits, field = array.bounds.bits, f"word[{top}:{address + width}] == {number}"
        wires.append(f"    wire signed [{bits - 1}:0] {array.name}_value;")
        ends += f", .{array.name}_write(write && {field}), .{array.name}_value({array.name}_value)"
        ends += f", .{array.name}_address(word[{width + address_bits(array) - 1}:{width}])"
        ends += f", .{array.name}_data(word[{bits - 1}:0])"
        label = "default" if number == len(masses) - 1 else str(number)
        values.append(f"        {label}: value = {array.name}_value;")
    return CHIP.substitute(
        top=top,
        below_top=top - 1,
        data_top=width - 1,
        field_low=address + width,
        wires="\n".join(wires),
        ends=ends,
        values="\n".join(values),
    )


def _tied(hardware: Hardware) -> Iterator[str]:
    """Connections of the ports that a testbench does not use."""
    for array in hardware.masses:
        yield f", .{array.name}_write(1'b0), .{array.name}_address({address_bits(array)}'d0)"
        yield f", .{array.name}_data({array.bounds.bits}'sd0), .{array.name}_value()"


def _hashed(hardware: Hardware, architecture: Architecture) -> Iterator[str]:
    """Loops that hash what a PDE step leaves."""
    for head, element in architecture.seen(hardware):
        yield f"            for ({head}; n = n + 1) hashed({element});"

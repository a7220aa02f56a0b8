"""A small graph that fails, for each rule; the manual shows them, and tests of the rules break the same graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pisnn_deploy.checks.example_graphs import (
    CELLS,
    heat_graph,
    placed,
    with_bits,
    with_claims,
    with_exponent,
    with_figure,
    with_ledger_steps,
    with_level,
    with_mantissas,
    with_start,
)
from pisnn_deploy.checks.report import Finding
from pisnn_deploy.checks.rules import ALL_RULES, check_target
from pisnn_deploy.graph import (
    Claim,
    IntegerGraph,
    kinds,
)
from pisnn_deploy.target import Target, load_board, load_profile


@dataclass(frozen=True)
class Example:
    """A graph and a profile that fail a rule.

    Attributes
    ----------
    text : str
        What is wrong, in words.
    rejected : tuple of (str, str)
        Certificate claims that the checker rejects, with reasons.
    """

    text: str
    graph: IntegerGraph
    profile: Target
    rejected: tuple[tuple[str, str], ...] = ()

    def finding(self, code: str) -> Finding:
        """Run all rules and return the first finding of one."""
        return next(
            finding
            for finding in check_target(self.graph, self.profile, self.rejected).findings
            if finding.rule == code
        )


def _number_examples(heat: IntegerGraph) -> tuple[Example, ...]:
    """Weights, widths, payloads, thresholds."""
    loihi2 = load_profile("loihi2")
    accumulator, leak = loihi2.accumulator.bits.value or 0, 1 << loihi2.decay.bits.value
    state, spike = loihi2.state.bits.value, loihi2.payload
    payload = max(width for width in spike.legal_widths_bits.value if width <= spike.bits.value)
    return (
        Example(
            "Weights of both signs, one of them odd: mixed mode cannot store its lowest bit.",
            with_mantissas(heat, [3, -4]),
            loihi2,
        ),
        Example(
            "A weight exponent one above the largest of the target.",
            with_exponent(heat, loihi2.weights.exponent_highest.value + 1),
            loihi2,
        ),
        Example(
            "A mass without a declared width.",
            replace(heat, bounds=heat.bounds[1:]),
            loihi2,
        ),
        Example(
            "A current that is one bit wider than a state of the target.",
            with_bits(heat, "flux", "current", state + 1),
            loihi2,
        ),
        Example(
            "A packet that is one bit wider than the widest spike of the target.",
            with_bits(heat, "flux", "packet", payload + 1),
            loihi2,
        ),
        Example(
            "A target with binary spikes.",
            heat,
            with_figure(loihi2, "payload.graded", value=False),
        ),
        Example(
            "A sum over all inputs of a neuron that is one bit wider than the accumulator.",
            with_bits(heat, "drive", "accumulator", accumulator + 1),
            loihi2,
        ),
        Example(
            "A leak one above the largest.",
            kinds.with_faces(heat, leak=leak + 1),
            loihi2,
        ),
        Example(
            "A target that has only integrate-and-fire neurons.",
            heat,
            with_figure(loihi2, "state.programmable", value=False),
        ),
        Example(
            "A threshold one bit wider than the target allows.",
            kinds.with_faces(heat, exponent=loihi2.threshold.bits.value or 0),
            loihi2,
        ),
        Example(
            "Dense coding with a bias one bit wider than the target allows.",
            replace(
                kinds.with_faces(heat, np.full(CELLS, 1 << (loihi2.bias.bits.value or 1) - 1, np.int64)), coding="dense"
            ),
            loihi2,
        ),
    )


def _capacity_examples(heat: IntegerGraph) -> tuple[Example, ...]:
    """Examples of cores and chips."""
    loihi2, generic = load_profile("loihi2"), load_profile("generic-int")
    first, second = [0] * CELLS, [1] * CELLS
    apart = placed(heat, first, second)
    shared = placed(heat, first, [*second[1:], 0])
    usable = loihi2.chip.cores_usable.value or 1
    far = placed(heat, first, [usable] * CELLS)

    def core(key: str, limit: int) -> Target:
        return with_figure(loihi2, f"core.{key}", limit)

    return (
        Example(
            "A placement of only seven of eight faces.",
            placed(heat, first, second[1:]),
            loihi2,
        ),
        Example("Eight cells on a core that holds seven neurons.", apart, core("neurons_max", CELLS - 1)),
        Example(
            "A face on the core of the cells, where a core holds parts of only one population.",
            shared,
            core("neuron_groups_max", 1),
        ),
        Example(
            "Eight faces with inputs from two cells each, at one word per axon, on a core of seven words.",
            apart,
            core("synaptic_memory_words", CELLS - 1),
        ),
        Example(
            "Cells that send to two faces each, where a list of synapses has room for one.",
            heat,
            with_figure(generic, "synapse.axon_words_max", 1),
        ),
        Example(
            "A face on the core of the cells, which then needs ten axons: from eight faces and two cells.",
            shared,
            core("input_axons_max", CELLS),
        ),
        Example(
            "Eight cells that send to another core, where a core has seven entries.",
            apart,
            core("output_axons_max", CELLS - 1),
        ),
        Example("Eight cells that send, with an axon map of seven words.", apart, core("axon_map_words", CELLS - 1)),
        Example(
            "Faces on alternating cores, so that each cell has a second axon, of half a word.",
            _spread(heat),
            core("axon_memory_words", 3),
        ),
        Example(
            "Neurons, synapses, input axons and axon map of a graph on a single core.",
            heat,
            core("total_words", 8 * CELLS - 1),
        ),
        Example("All faces on a core one beyond the last of the chip.", far, loihi2),
        Example(
            "A placement on two chips for a system with one.",
            placed(heat, first, [usable] * CELLS, 2),
            with_figure(loihi2, "system.chips", 1),
        ),
    )


def _table_examples(heat: IntegerGraph) -> tuple[Example, ...]:
    """Examples of states, addresses, axons, delays, counters, tables and products."""
    loihi2, generic = load_profile("loihi2"), load_profile("generic-int")
    return (
        Example(
            "Eight cells with 22 bits of state and eight faces with 30, one word each, on a core of 15 words.",
            heat,
            with_figure(loihi2, "core.neuron_state_words", 2 * CELLS - 1),
        ),
        Example(
            "Sixteen neurons on a core with synapse indices of three bits.",
            heat,
            with_figure(loihi2, "synapse.index_bits", 3),
        ),
        Example(
            "Faces on alternating cores, so that each cell takes two entries.",
            _spread(heat),
            with_figure(generic, "core.neuron_output_axons_max", 1),
        ),
        Example(
            "Sixteen neurons with eight slots each on a core of 127.",
            heat,
            with_figure(load_profile("loihi1"), "delay.accumulators_max", 16 * CELLS - 1),
        ),
        Example(
            "Eight cells, with two counters on each of three embedded processors.",
            heat,
            with_figure(loihi2, "io.spike_counters", 2),
        ),
        Example(
            "A table of eight entries, two a word, on a core with three words for tables.",
            with_level(heat, "table t = 0 1 4 9 16 25 36 49", "level = table(near, t)"),
            with_figure(loihi2, "microcode.table_words", 3, confidence="documented"),
        ),
        Example(
            "A square of a mass on a target whose programs cannot multiply.",
            with_level(heat, "level = mul_shr(near, near, 1)"),
            with_figure(loihi2, "microcode.multiply", value=False),
        ),
    )


def _spread(heat: IntegerGraph) -> IntegerGraph:
    """Return the graph with cells on one core, and faces alternating between two others."""
    return placed(heat, [2] * CELLS, [0, 1] * (CELLS // 2))


def _proof_examples(heat: IntegerGraph) -> tuple[Example, ...]:
    """Examples of certificates and initial masses."""
    loihi2, nothing = load_profile("loihi2"), Claim("none", "nonlinear")
    return (
        Example("A graph without a certificate.", replace(heat, certificate=None), loihi2),
        Example(
            "A certificate that assumes conservation.",
            with_claims(heat, conservation=Claim("assumed", "nonlinear")),
            loihi2,
        ),
        Example("A certificate without bounds of states.", with_claims(heat, overflow=nothing), loihi2),
        Example(
            "A bound that was narrowed after the certificate was issued.",
            heat,
            loihi2,
            (("bounds", "flux packet ranges from -101 to 101, but its bound is -100 to 100"),),
        ),
        Example("Ledgers that wrap one PDE step before the horizon.", with_ledger_steps(heat, 999_999), loihi2),
        Example("A start one quantum above the operating range.", with_start(heat, heat.window.upper + 1), loihi2),
        Example(
            "Faces with a custom program.",
            with_claims(heat, stability=Claim("none", "unknown-program"), equation=Claim("none", "unknown-program")),
            loihi2,
        ),
    )


def _board_examples(heat: IntegerGraph) -> tuple[Example, ...]:
    """Examples of boards with little memory and few cells."""
    controller, fpga = load_board("cortex-m0"), load_board("ice40-up5k")
    return (
        Example(
            "A program that is estimated at more than half a kilobyte, on a part with that much.",
            heat,
            with_figure(controller, "memory.flash_bytes", 512),
        ),
        Example(
            "A part with a kilobyte of RAM, which the stack takes.",
            heat,
            with_figure(controller, "memory.ram_bytes", 1024),
        ),
        Example("A part with 300 logic cells.", heat, with_figure(fpga, "fabric.cells", 300)),
        Example("A part without block memory.", heat_graph(32), with_figure(fpga, "fabric.block_memory_bits", 0)),
        Example("A part without multipliers.", heat, with_figure(fpga, "fabric.multipliers", 0)),
    )


def examples() -> Mapping[str, Example]:
    """Return an example for every rule, by code."""
    heat = heat_graph()
    parts = (_number_examples, _capacity_examples, _table_examples, _proof_examples, _board_examples)
    in_order = (example for part in parts for example in part(heat))
    return {rule.code: example for rule, example in zip(ALL_RULES, in_order, strict=True)}

"""Lists of the rules for each kind of target, and the function that runs them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pisnn_deploy.checks import boards, capacity, numbers, proofs, tables
from pisnn_deploy.checks.report import BoardResources, ChipReport, Report, Resources
from pisnn_deploy.checks.rule import DEFAULT_HORIZON, BoardSubject, Rule, Subject
from pisnn_deploy.estimates.activity import Activity
from pisnn_deploy.estimates.boards import board_estimates
from pisnn_deploy.estimates.comparison import compare
from pisnn_deploy.estimates.estimates import estimates
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import Board, Fpga, Microcontroller, Profile, Target
from pisnn_deploy.target.board_resources import demand
from pisnn_deploy.target.resources import RESOURCES
from pisnn_deploy.target.utilisation import Counts, count

PROOFS: tuple[Rule, ...] = (
    proofs.certificate_present,
    proofs.conservation_proved,
    proofs.overflow_bounded,
    proofs.certificate_valid,
    proofs.ledgers_last,
    proofs.start_in_range,
    proofs.programs_known,
)
"""Rules on the certificate, for every target."""
RULES: tuple[Rule, ...] = (
    numbers.weight_mantissas,
    numbers.weight_exponent,
    numbers.bounds_declared,
    numbers.state_width,
    numbers.payload_width,
    numbers.graded_spikes,
    numbers.accumulator_width,
    numbers.decay_constant,
    numbers.programmable_neurons,
    numbers.threshold_width,
    numbers.bias_width,
    capacity.placement_valid,
    capacity.neurons_per_core,
    capacity.neuron_groups_per_core,
    capacity.synaptic_memory,
    capacity.synapse_list,
    capacity.input_axons,
    capacity.output_axons,
    capacity.axon_map,
    capacity.axon_memory,
    capacity.total_memory,
    capacity.cores,
    capacity.chips,
    tables.state_words,
    tables.neuron_addresses,
    tables.axons_per_neuron,
    tables.delay_slots,
    tables.spike_counters,
    tables.lookup_tables,
    tables.products,
    *PROOFS,
)
"""Rules for chips of neurons."""
BOARD_RULES: Mapping[type[Board], tuple[Rule, ...]] = {
    Microcontroller: (numbers.bounds_declared, *PROOFS, boards.flash, boards.ram),
    Fpga: (numbers.bounds_declared, *PROOFS, boards.logic_cells, boards.block_memory, boards.multipliers),
}
"""Rules for boards, by their kind."""
ALL_RULES: tuple[Rule, ...] = tuple(
    {rule.code: rule for rules in (RULES, *BOARD_RULES.values()) for rule in rules}.values()
)
"""Every rule once, by ascending code."""


def check_target(
    graph: IntegerGraph,
    target: Target,
    rejected: tuple[tuple[str, str], ...] = (),
    horizon: int = DEFAULT_HORIZON,
    activity: Activity | None = None,
    seconds: float | None = None,
) -> Report:
    """Check a graph against a chip (`check`) or a board (`check_board`); a board's costs do not depend on activity."""
    if isinstance(target, Board):
        return check_board(graph, target, rejected, horizon, seconds)
    return check(graph, target, rejected, horizon, activity, seconds)


def check(
    graph: IntegerGraph,
    profile: Profile,
    rejected: tuple[tuple[str, str], ...] = (),
    horizon: int = DEFAULT_HORIZON,
    activity: Activity | None = None,
    seconds: float | None = None,
) -> ChipReport:
    """Check a graph against the profile of a chip of neurons.

    Parameters
    ----------
    graph : IntegerGraph
        A verified graph. Without a placement it is checked as if it were on a single core.
    rejected : tuple of (str, str)
        Certificate claims that `pisnn_deploy.verify` rejected, with reasons.
    horizon : int
        Number of PDE steps that the graph should run.
    activity : Activity, optional
        Spikes of a run, for the estimates (default: every neuron fires once).
    seconds : float, optional
        Measured time of a float solver per PDE step in seconds, for the comparison.

    Returns
    -------
    ChipReport
        All violations of all rules for chips.
    """
    counts = count(graph, profile)
    subject = Subject(graph, rejected, horizon, profile, counts)
    findings = tuple(finding for rule in RULES for finding in rule.findings(subject))
    estimated = estimates(graph, profile, counts, activity)
    comparison = compare(graph, profile, counts, estimated["time_per_pde_step_us"], activity, seconds)
    return ChipReport(profile.name, findings, _resources(graph, profile, counts), estimated, comparison, _codes(RULES))


def check_board(
    graph: IntegerGraph,
    board: Board,
    rejected: tuple[tuple[str, str], ...] = (),
    horizon: int = DEFAULT_HORIZON,
    seconds: float | None = None,
) -> Report:
    """Check an export of a graph against a board, which computes every neuron in every PDE step.

    Parameters are those of `check`.

    Raises
    ------
    UsageError
        The graph cannot be exported for this board.
    """
    needed, rules = demand(graph, board), BOARD_RULES[type(board)]
    subject = BoardSubject(graph, rejected, horizon, board, needed.uses)
    findings = tuple(finding for rule in rules for finding in rule.findings(subject))
    known = [(use, use.amount.value) for use in needed.uses if use.amount.value is not None]
    amounts = {use.resource.name: math.ceil(amount) for use, amount in known}
    utilisation = {use.resource.name: amount / use.limit.value for use, amount in known if use.limit.value}
    synapses = sum(synapse.entries for synapse in graph.synapses)
    resources = BoardResources(graph.neurons, synapses, amounts, utilisation)
    return Report(board.name, findings, resources, board_estimates(board, needed, seconds), None, _codes(rules))


def _codes(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    return tuple(rule.code for rule in rules)


_REPORTED = {
    "neurons": "neurons",
    "synaptic_memory": "synaptic_words",
    "input_axons": "input_axons",
    "output_axons": "output_axons",
    "total_memory": "total_words",
}
"""Resource of a core by its name in a report."""


def _resources(graph: IntegerGraph, profile: Profile, counts: Counts) -> Resources:
    chips = counts.chips
    cores = int(counts.core.size)
    total_cores = None
    if profile.chip.cores_usable.value is not None and profile.system.chips.value is not None:
        total_cores = profile.chip.cores_usable.value * profile.system.chips.value
    used = {
        **{
            key: (RESOURCES[name].uses(counts).max(), RESOURCES[name].limit(profile).value)
            for key, name in _REPORTED.items()
        },
        "cores": (cores, total_cores),
        "chips": (chips, profile.system.chips.value),
    }
    utilisation = {name: float(value) / limit for name, (value, limit) in used.items() if limit}
    synapses = sum(synapse.entries for synapse in graph.synapses)
    words, inputs, outputs = (
        int(uses.sum()) for uses in (counts.synaptic_words, counts.input_axons, counts.output_axons)
    )
    return Resources(cores, chips, graph.neurons, synapses, words, inputs, outputs, utilisation)

"""List of all rules by code, and the function that runs them."""

from __future__ import annotations

from pisnn_deploy.checks import capacity, numbers, proofs, tables
from pisnn_deploy.checks.report import Report, Resources
from pisnn_deploy.checks.rule import DEFAULT_HORIZON, Rule, Subject
from pisnn_deploy.estimates.activity import Activity
from pisnn_deploy.estimates.comparison import compare
from pisnn_deploy.estimates.estimates import estimates
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import Profile
from pisnn_deploy.target.resources import RESOURCES
from pisnn_deploy.target.utilisation import Counts, count

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
    proofs.certificate_present,
    proofs.conservation_proved,
    proofs.overflow_bounded,
    proofs.certificate_valid,
    proofs.ledgers_last,
    proofs.start_in_range,
    proofs.programs_known,
)


def check(
    graph: IntegerGraph,
    profile: Profile,
    rejected: tuple[tuple[str, str], ...] = (),
    horizon: int = DEFAULT_HORIZON,
    activity: Activity | None = None,
    seconds: float | None = None,
) -> Report:
    """Check a graph against a hardware profile.

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
    Report
        All violations of all rules.
    """
    counts = count(graph, profile)
    subject = Subject(graph, profile, counts, rejected, horizon)
    findings = tuple(finding for rule in RULES for finding in rule.findings(subject))
    estimated = estimates(graph, profile, counts, activity)
    comparison = compare(graph, profile, counts, estimated["time_per_pde_step_us"], activity, seconds)
    return Report(profile.name, findings, _resources(graph, profile, counts), estimated, comparison)


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

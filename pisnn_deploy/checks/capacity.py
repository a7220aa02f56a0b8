"""Rules on the capacity of cores and chips."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.checks.rule import GRAPH, Subject, Violation, allowed, excess, rule, unpublished
from pisnn_deploy.target import Figure
from pisnn_deploy.target.resources import RESOURCES
from pisnn_deploy.target.utilisation import placement_problems


def per_core(
    subject: Subject,
    uses: NDArray[np.int64] | NDArray[np.float64],
    limit: Figure[int | None],
    what: str,
    *,
    silent: bool = False,
) -> Iterator[Violation]:
    """Report every core that exceeds a limit; an unplaced graph is counted on a single core.

    Parameters
    ----------
    uses : array [cores]
        Use of each core that has neurons.
    what : str
        Name of the resource, in the plural.
    silent : bool
        Do not report a missing limit.
    """
    if not silent:
        yield from unpublished(subject, limit, f"{what} in a core")
    if limit.value is None:
        return
    lowest = limit.value if limit.low is None else min(limit.low, limit.value)
    for index in np.flatnonzero(uses > lowest):
        used = math.ceil(uses[index])
        severity = excess(used, limit) or "warning"
        most = allowed(limit, severity)
        some = "" if severity == "error" else " by one source"
        if subject.counts.placed:
            core = f"core {int(subject.counts.core[index])}"
            yield Violation(core, used, most, f"{used} {what}, but a core holds {most}{some}", severity)
        else:
            message = f"the graph is not placed; a single core would need {used} {what}, but holds {most}{some}"
            yield Violation(GRAPH, used, most, message, severity)


def _within(subject: Subject, name: str) -> Iterator[Violation]:
    """Report every core that exceeds a resource."""
    resource = RESOURCES[name]
    yield from per_core(subject, resource.uses(subject.counts), resource.limit(subject.profile), resource.text)


@rule("PD101", "placement-valid")
def placement_valid(subject: Subject) -> Iterator[Violation]:
    """A placement assigns every neuron of every population to a core.

    A graph without a placement, or with an invalid one, is counted as if it were on a single core.

    Fix: place the graph again by compiling it for the profile.
    """
    for problem in placement_problems(subject.graph):
        yield Violation(GRAPH, None, None, f"invalid placement: {problem}")


@rule("PD102", "neurons-per-core")
def neurons_per_core(subject: Subject) -> Iterator[Violation]:
    """A core holds at most `core.neurons_max` neurons.

    A neuron keeps its states in its own core, and nothing is moved to another core automatically.

    Fix: place the populations on more cores.
    """
    yield from _within(subject, "neurons")


@rule("PD103", "neuron-groups-per-core")
def neuron_groups_per_core(subject: Subject) -> Iterator[Violation]:
    """A core holds parts of at most `core.neuron_groups_max` populations.

    Each population is a separate group: one neuron program with a shared configuration.

    Fix: place each population on separate cores.
    """
    yield from per_core(subject, subject.counts.groups, subject.profile.core.neuron_groups_max, "neuron groups")


@rule("PD104", "synaptic-memory")
def synaptic_memory(subject: Subject) -> Iterator[Violation]:
    """The packed synapses into a core take at most `core.synaptic_memory_words` words.

    The synapses of each input axon are packed and rounded up to whole words, with the weight, index and header bits of
    the profile's `synapse` section. Real deployments reach this limit first. For Loihi 2 the packing is not documented,
    but inferred from resource tables in public notebooks.

    Fix: place the target populations on more cores, or use a model with a smaller window or fewer channels.
    """
    yield from _within(subject, "synaptic_words")


@rule("PD105", "synapse-list")
def synapse_list(subject: Subject) -> Iterator[Violation]:
    """The packed synapses of one input axon take at most `synapse.axon_words_max` words.

    This limit is separate: a list may be too long for one axon while the core has memory to spare.

    Fix: place the target population on more cores, so that each axon reaches fewer neurons of a core.
    """
    limit = subject.profile.synapse.axon_words_max
    yield from unpublished(subject, limit, "the words of one input axon")
    for name, words in subject.counts.longest_axon_words.items():
        severity = excess(words, limit)
        if severity:
            most = allowed(limit, severity)
            message = f"its longest input axon takes {words} words, but at most {most} are allowed"
            yield Violation(name, words, most, message, severity)


@rule("PD106", "input-axons")
def input_axons(subject: Subject) -> Iterator[Violation]:
    """A core has at most `core.input_axons_max` input axons.

    Each source neuron takes one input axon per synapse population and core that it reaches. A single neuron with more
    inputs than that cannot be split over cores.

    Fix: place neighbouring cells and faces on the same core, or place the target population on more cores.
    """
    yield from _within(subject, "input_axons")


@rule("PD107", "output-axons")
def output_axons(subject: Subject) -> Iterator[Violation]:
    """The neurons of a core take at most `core.output_axons_max` output axon entries.

    A neuron takes one entry for each synapse population and core that it reaches, and `core.output_axon_cross_chip`
    more for a core on another chip.

    Fix: place neighbouring cells and faces on the same core and chip, or place the source population on more cores.
    """
    yield from _within(subject, "output_axons")


@rule("PD108", "axon-map")
def axon_map(subject: Subject) -> Iterator[Violation]:
    """The axon map of a core takes at most `core.axon_map_words` words.

    It has one entry for each neuron and outgoing synapse population. For Loihi 2 the size of an entry is inferred.

    Fix: place the source population on more cores.
    """
    yield from _within(subject, "axon_map_words")


@rule("PD109", "axon-memory")
def axon_memory(subject: Subject) -> Iterator[Violation]:
    """The axon memory of a core takes at most `core.axon_memory_words` words.

    It holds the output axons beyond the first of each entry of the axon map. For Loihi 2 the size of an axon is an
    estimate.

    Fix: place neighbouring cells and faces on the same core, or place the source population on more cores.
    """
    yield from _within(subject, "axon_memory_words")


@rule("PD110", "total-memory")
def total_memory(subject: Subject) -> Iterator[Violation]:
    """All memories of a core take at most `core.total_words` words together.

    These are neurons, synapses, input axons, axon map and axon memory.

    For Loihi 2 the limit and the weight of each part are inferred: they reproduce the totals in public notebooks.

    Fix: place the populations on more cores.
    """
    yield from _within(subject, "total_words")


@rule("PD111", "cores")
def cores(subject: Subject) -> Iterator[Violation]:
    """A placement uses at most `chip.cores_usable` cores on each chip.

    Core numbers run through all chips. A chip has fewer usable than nominal cores.

    Fix: place the graph on more chips, or use a smaller mesh.
    """
    placement, usable = subject.graph.placement, subject.profile.chip.cores_usable
    yield from unpublished(subject, usable, "usable cores")
    if placement is None or not subject.counts.placed or usable.value is None:
        return
    needed = max(int(subject.counts.core[-1]) + 1, placement.cores)
    severity = excess(-(-needed // placement.chips), usable)
    if severity:
        most = allowed(usable, severity) or 0
        some = "" if severity == "error" else " by one source"
        available = most * placement.chips
        message = f"the placement needs {needed} cores, but {available} are usable ({most} on each of its chips{some})"
        yield Violation(GRAPH, needed, available, message, severity)
        if severity == "error":
            return
    cores_of_chips = np.bincount(placement.chip)
    for chip in range(cores_of_chips.size):
        worse = excess(int(cores_of_chips[chip]), usable)
        # Report each severity once: the whole placement was reported above.
        if worse and worse != severity:
            used, most = int(cores_of_chips[chip]), allowed(usable, worse) or 0
            some = "" if worse == "error" else " by one source"
            yield Violation(f"chip {chip}", used, most, f"{used} cores, but {most} of a chip are usable{some}", worse)


@rule("PD112", "chips")
def chips(subject: Subject) -> Iterator[Violation]:
    """A placement uses at most `system.chips` chips.

    Core numbers run through all chips, so cores beyond the last chip do not exist.

    Fix: compile for a larger system, or use a smaller mesh.
    """
    limit = subject.profile.system.chips
    yield from unpublished(subject, limit, "chips")
    placement = subject.graph.placement
    used = subject.counts.chips if placement is None else max(subject.counts.chips, placement.chips)
    severity = excess(used, limit)
    if severity:
        most = allowed(limit, severity)
        yield Violation(
            GRAPH, used, most, f"the placement uses {used} chips, but {subject.profile.name} has {most}", severity
        )

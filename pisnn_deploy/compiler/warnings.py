"""Warnings about a compiled graph.

A rule is a function that looks at the graph and its target and yields a sentence for each thing that a user should
know about it. `RULES` is the list; the command line adds warnings from before the compiler ran.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pisnn_deploy.compiler.analysis.departure import follow
from pisnn_deploy.compiler.analysis.growth import MARGIN, without_limiter, worst_wave
from pisnn_deploy.compiler.analysis.law_run import run_from_start, steps_to_run
from pisnn_deploy.compiler.passes.measure import CELL_STEPS, MEASURED_CELLS, horizon_steps
from pisnn_deploy.compiler.passes.stock import frozen_quanta
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import Profile

Rule = Callable[[IntegerGraph, Profile], Iterator[str]]


def too_many_chips(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn about a placement on more chips than the target has."""
    limit, placement = profile.system.chips.value, graph.placement
    if placement is not None and limit is not None and placement.chips > limit:
        yield (
            f"placement: the graph takes {_number(placement.chips, 'chip')}, {profile.name} has {limit}; "
            "choose a coarser mesh or a larger system"
        )


def another_law(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn about integers whose coefficients differ from the model's equation."""
    claim = graph.certificate and graph.certificate.equation
    if claim and claim.method == "other-law":
        yield f"equation: {claim.details}; train the model further, or correct the coefficients of its spec"


def unproved_stability(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn about waves that grow too slowly to show in a test run, and about networks of unproved stability."""
    graph = without_limiter(graph)
    claim = None if graph.certificate is None else graph.certificate.stability
    if claim is None or claim.status != "none":
        return
    worst = worst_wave(graph)
    if worst is not None and worst.factor > 1 + MARGIN:
        around = f" around the value {worst.level * graph.value_per_quantum:.3g}" if graph.between_fields else ""
        doubling = math.ceil(math.log(2) / math.log(worst.factor))
        yield (
            f"stability: {worst.text}{around} grow by a factor of {worst.factor:.9g} in each PDE step, doubling in "
            f"{doubling}; long runs may leave the operating range"
        )
    else:
        calm = ""
        if worst is not None and graph.between_fields:
            calm = f"; around constant fields no wave grows, the largest factor is {worst.factor:.6g}"
        yield f"stability: not proved: {claim.details}{calm}"


FROZEN_PART = 1e-4
"""Part of the operating range that slopes of stock processes may keep for ever without a warning."""


def frozen_slopes(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn about slopes that stock processes never level out, above a ten-thousandth of the operating range."""
    frozen = frozen_quanta(graph)
    if frozen is not None and frozen > FROZEN_PART * (graph.window.upper - graph.window.lower):
        yield (
            f"stock: a field at rest may stay up to {frozen:.0f} quanta (value {frozen * graph.value_per_quantum:.2g}) "
            "from its mean for ever, because faces round what they carry; this grows with the number of cells; choose "
            "--processes c-lif, fewer cells or a narrower range"
        )


def start_that_leaves(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn that nothing was measured, because the problem's own start lies outside the operating range or leaves it."""
    if graph.quantisation.steps:
        return
    cells = graph.mesh.cells
    steps = 0 if cells > MEASURED_CELLS else max(1, min(horizon_steps(graph), CELL_STEPS // cells))
    run = follow(graph, graph.initial, steps)
    if run.departure:
        yield (
            f"start: not measured, because a run from the problem's own start stops: {run.departure}; choose a wider "
            "--range, --slope or --flux, or simulate from a start of your own"
        )


LARGEST_ERROR = 1e-2
TIMES_THE_FLOATS = 10
"""Integers get a warning if their relative L2 error exceeds the first, and the float model's times the second."""


def large_error(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn about integers that are far less accurate than the float model, and name the likely cause."""
    measured = graph.quantisation
    integer, floating = measured.relative_l2_integer, measured.relative_l2_float
    if integer is None or floating is None or integer <= max(LARGEST_ERROR, TIMES_THE_FLOATS * floating):
        return
    yield (
        f"accuracy: after {_number(measured.steps, 'PDE step')} the integers are off by {integer:.2e} (relative L2), "
        f"the float model by {floating:.2e}; {_cause(graph)}"
    )


def _cause(graph: IntegerGraph) -> str:
    window, scale = graph.window, graph.value_per_quantum
    if graph.order.asking:
        return (
            "the limiter withholds packets that would lead out of its limits; compile without --limiter, or with "
            "limits farther away from the field"
        )
    return (
        f"the quantum is coarse: levels of {graph.resolution:.3g} in an operating range of {window.lower * scale:g} to "
        f"{window.upper * scale:g}; choose a narrower --range, graded spikes or a target with wider states"
    )


RULES: tuple[Rule, ...] = (
    another_law,
    too_many_chips,
    unproved_stability,
    frozen_slopes,
    start_that_leaves,
    large_error,
)


def law_that_leaves(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn that a run from a law's own start leaves the operating range of a field."""
    if graph.spec.equation != "law" or graph.quantisation.steps:
        return
    run = run_from_start(graph, steps_to_run(graph, graph.spec))
    if run.departure:
        yield f"start: a run from the law's own start stops: {run.departure}; widen `range` in the recipe"


FEWEST_QUANTA = 1 << 12
"""Quanta in the range of a field of a law below which it gets a warning."""


def coarse_quantum_of_law(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn about fields of a law whose range has few quanta.

    Values are far from 0, a recipe says so, or sums of hidden neurons need the other bits of a word.
    """
    if graph.spec.equation != "law":
        return
    is_trained = graph.spec.method == "trained"
    what = "the sums of hidden neurons need the other bits of a word; train with fewer inputs or smaller weights"
    remedy = what if is_trained else "write the law in deviations, or in units that make its values alike"
    for field in graph.fields:
        low, high = graph.spec.range[field.name]
        count = (high - low) / field.value_per_quantum
        if count < FEWEST_QUANTA:
            yield (
                f"accuracy: the range of {field.name}, {low:g} to {high:g}, has only {count:.0f} quanta of "
                f"{field.value_per_quantum:.3g}; {remedy}"
            )


def large_error_of_law(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Warn about integers of a law that are far from its exact solution, and farther than float64 on the same mesh."""
    measured = graph.quantisation
    integer = measured.relative_l2_integer
    if graph.spec.equation != "law" or integer is None or integer <= LARGEST_ERROR:
        return
    from pisnn_deploy.laws.baselines import baseline  # numpy code that few compilations need
    from pisnn_deploy.laws.problem import compare, solution

    shape, time = graph.mesh.shape, measured.steps * graph.time_step
    exact = solution(graph.spec, shape, time)
    try:
        floats = baseline("muscl", graph.spec, shape, time).fields
    except UsageError:  # its values become infinite: nothing to compare with
        return
    floating = 0.0 if exact is None else max(each.l2 for each in compare(floats, exact.fields).values())
    if integer > TIMES_THE_FLOATS * floating:
        yield (
            f"accuracy: after {_number(measured.steps, 'PDE step')} the integers are off by {integer:.2e} (relative "
            f"L2), MUSCL in float64 on the same mesh by {floating:.2e}; choose a narrower range, or finer quantum_bits"
        )


RULES_OF_ANY_GRAPH: tuple[Rule, ...] = (
    another_law,
    too_many_chips,
    law_that_leaves,
    coarse_quantum_of_law,
    large_error_of_law,
)
"""Rules for graphs without a flux network."""


def warnings_of(graph: IntegerGraph, profile: Profile) -> tuple[str, ...]:
    """All warnings about a compiled graph.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    profile : Profile
        The target.

    Returns
    -------
    tuple of str
        One sentence each, with place and size, in the order of `RULES`.
    """
    rules = RULES if graph.has_flux_network else RULES_OF_ANY_GRAPH
    return tuple(sentence for rule in rules for sentence in rule(graph, profile))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

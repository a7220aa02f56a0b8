"""What a compiled graph is warned about.

A rule is a function that looks at the graph and its target and yields a sentence for each thing that a user must hear
of although the graph was compiled. `RULES` is the list; the command line adds what it learnt before the compiler ran.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pisnn_deploy.compiler.growth import MARGIN, worst_wave
from pisnn_deploy.compiler.stock import frozen_quanta
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.profiles import Profile

Rule = Callable[[IntegerGraph, Profile], Iterator[str]]


def too_many_chips(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """A placement on more chips than the target has."""
    limit, placement = profile.system.chips.value, graph.placement
    if placement is not None and limit is not None and placement.chips > limit:
        yield (
            f"placement: the graph takes {_number(placement.chips, 'chip')}, {profile.name} has {limit}; "
            "choose a coarser mesh or a larger system"
        )


def another_law(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Integers whose coefficients are not those of the model's equation."""
    claim = graph.certificate and graph.certificate.equation
    if claim and claim.method == "other-law":
        yield f"equation: {claim.details}; train the model further, or correct the coefficients of its spec"


def unproved_stability(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Waves that grow too slowly for the compiler to see them grow, and networks of which nothing can be proved."""
    claim = None if graph.certificate is None else graph.certificate.stability
    if claim is None or claim.status != "none":
        return
    worst = worst_wave(graph)
    if worst is not None and worst.factor > 1 + MARGIN:
        around = f" around the value {worst.level * graph.value_per_quantum:.3g}" if graph.hidden else ""
        twofold = math.ceil(math.log(2) / math.log(worst.factor))
        yield (
            f"stability: {worst.text}{around} grow by a factor of {worst.factor:.9g} in each PDE step, twofold in "
            f"{twofold}; long runs may leave the operating range"
        )
    else:
        calm = ""
        if worst is not None and graph.hidden:
            calm = f"; around constant fields no wave grows, the largest factor is {worst.factor:.6g}"
        yield f"stability: not proved: {claim.details}{calm}"


FROZEN_PART = 1e-4
"""Part of the operating range that slopes of stock processes may hold for ever without a warning."""


def frozen_slopes(graph: IntegerGraph, profile: Profile) -> Iterator[str]:
    """Slopes that stock processes never level out, where they are more than a ten-thousandth of the operating range."""
    frozen = frozen_quanta(graph)
    if frozen is not None and frozen > FROZEN_PART * (graph.window.upper - graph.window.lower):
        yield (
            f"stock: a field at rest may stay up to {frozen:.0f} quanta (value {frozen * graph.value_per_quantum:.2g}) "
            "from its mean for ever, because faces round what they carry; this grows with the number of cells; choose "
            "--processes c-lif, fewer cells or a narrower range"
        )


RULES: tuple[Rule, ...] = (another_law, too_many_chips, unproved_stability, frozen_slopes)


def warnings_of(graph: IntegerGraph, profile: Profile) -> tuple[str, ...]:
    """Everything that a compiled graph is warned about.

    Parameters
    ----------
    graph : IntegerGraph
        Compiled to the end.
    profile : Profile
        The target.

    Returns
    -------
    tuple of str
        One sentence each, which names the place and the size; in the order of `RULES`.
    """
    return tuple(sentence for rule in RULES for sentence in rule(graph, profile))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

"""The list of passes: which run, in which order, and why in that order."""

from __future__ import annotations

from collections.abc import Iterable

from pisnn_deploy.compiler.options import CompileOptions
from pisnn_deploy.compiler.passes.bound import Bounds
from pisnn_deploy.compiler.passes.encode import Encode
from pisnn_deploy.compiler.passes.limit import Limit
from pisnn_deploy.compiler.passes.lower import Lower
from pisnn_deploy.compiler.passes.lower_two_point import LowerMultiPoint, LowerTwoPoint
from pisnn_deploy.compiler.passes.measure import Measure
from pisnn_deploy.compiler.passes.place import Place
from pisnn_deploy.compiler.passes.prove import Prove
from pisnn_deploy.compiler.passes.quantise import Quantise
from pisnn_deploy.compiler.passes.quantise_digits import QuantiseDigits
from pisnn_deploy.compiler.passes.quantise_two_point import QuantiseTwoPoint
from pisnn_deploy.compiler.passes.schedule import Schedule
from pisnn_deploy.compiler.passes.see_residues import SeeResidues
from pisnn_deploy.compiler.passes.stock import LowerStock
from pisnn_deploy.compiler.runner import Floating, Pass

LOWERING: tuple[type[Pass], ...] = (
    Lower,
    LowerTwoPoint,  # replaces the pass above where cells differ
    LowerMultiPoint,  # replaces it where lines of centres are not normal to faces
    LowerStock,  # before the weights are rounded, because it divides them
)
"""From a model to a float graph."""
CHOOSING: tuple[type[Pass], ...] = (
    Quantise,
    QuantiseTwoPoint,  # replaces the pass above where cells differ
    QuantiseDigits,  # replaces it where weights of one digit cost accuracy
)
"""From a float graph to integers."""
INTEGERS: tuple[type[Pass], ...] = (
    SeeResidues,  # before the widths, which it adds to; it uses the weights of the masses
    Limit,  # before the widths, which it changes; it does not use the weights
    Schedule,  # before the widths: payloads depend on the coding
    Bounds,  # before the proof, which cites it
    Encode,  # after the widths, which are the numbers of lines
    Prove,  # after the last pass that changes a weight
    Measure,  # on the bounded graph, so that a width that is too small shows here
)
"""Passes on integers; `pisnn_deploy.compiler.search` runs them again with other integers and keeps the best."""
PLACING: tuple[type[Pass], ...] = (
    Place,  # last, because it changes no integer of the run
)
PASSES = (*LOWERING, *CHOOSING, *INTEGERS, *PLACING)
"""All passes in order; `Pass.asked` says whether options ask for one."""


def asked(kinds: Iterable[type[Pass]], options: CompileOptions, floating: Floating | None = None) -> tuple[Pass, ...]:
    """Passes that options ask for, in order.

    Parameters
    ----------
    kinds : iterable of types of passes
        `PASSES` or a part of it.
    floating : FloatGraph or CellGraph or None
        Lowered graph, needed from `CHOOSING` on.
    """
    passes = (kind.asked(options, floating) for kind in kinds)
    return tuple(each for each in passes if each is not None)

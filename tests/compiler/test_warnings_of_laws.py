"""Warnings about the accuracy of the integers of a law."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from law_recipes import recipe
from trained_laws import burgers_law, interpolated

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.compiler.warnings import coarse_quantum_of_law, large_error_of_law
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.target import load_profile

TARGET = load_profile("loihi2")


def warm(lower: float, upper: float, **sections: Any) -> IntegerGraph:
    """Heat on a ring, around the middle of a range."""
    start = {"u": f"{(lower + upper) / 2} + {(upper - lower) / 4}*sin(2*pi*x)"}
    law = {"fields": ["u"], "diffusion": {"u": 0.1}}
    return construct(recipe(law, initial=start, range={"u": [lower, upper]}, **sections), (8,))


def test_a_narrow_range_far_from_0_has_few_quanta() -> None:
    assert [*coarse_quantum_of_law(warm(-0.5, 0.5), TARGET)] == []
    assert [*coarse_quantum_of_law(warm(300.0, 301.0), TARGET)] == [
        "accuracy: the range of u, 300 to 301, has only 1024 quanta of 0.000977; write the law in deviations, or in "
        "units that make its values alike"
    ]


def test_a_recipe_may_ask_for_coarse_quanta() -> None:
    (sentence,) = coarse_quantum_of_law(warm(0.0, 1.0, quantum_bits={"u": 9}), TARGET)
    assert sentence.startswith("accuracy: the range of u, 0 to 1, has only 512 quanta of 0.00195; ")


def test_sums_of_many_cells_leave_few_quanta() -> None:
    law = interpolated(burgers_law(2))
    offsets = np.stack(np.meshgrid(np.arange(-2, 4), np.arange(-3, 4), indexing="ij"), -1).reshape(-1, 2)
    network = replace(law.fluxes.networks[0], offsets=offsets, weight=np.full((16, 1, 42), 127 / 64), weight_exponent=6)
    fluxes = replace(law.fluxes, networks=(network, network))
    graph = construct(law.spec, (16, 16), trained=fluxes)
    assert [*coarse_quantum_of_law(graph, TARGET)] == [
        "accuracy: the range of u, -0.9 to 0.9, has only 1843 quanta of 0.000977; the sums of hidden neurons need the "
        "other bits of a word; train with fewer inputs or smaller weights"
    ]


def test_integers_much_farther_from_the_exact_solution_than_floats_get_a_warning() -> None:
    graph = warm(0.0, 1.0, reference="modes")

    def measured(error: float | None) -> list[str]:
        result = replace(graph.quantisation, steps=20, relative_l2_integer=error)
        return [*large_error_of_law(replace(graph, quantisation=result), TARGET)]

    assert measured(None) == measured(1e-3) == []
    (sentence,) = measured(0.5)
    assert sentence.startswith("accuracy: after 20 PDE steps the integers are off by 5.00e-01 (relative L2), MUSCL in")
    assert sentence.endswith("; choose a narrower range, or finer quantum_bits")

"""Where the accuracy of a law went, and how a request is explained."""

from __future__ import annotations

from pathlib import Path

import pytest
from rod_recipe import rod_recipe

import pisnn_deploy as pd
from pisnn_deploy.core.errors import UsageError


def test_coarse_quanta_of_a_law_show_in_the_line_of_the_integers(tmp_path: Path) -> None:
    fine = pd.compile(rod_recipe(tmp_path)).explain().stages
    explanation = pd.compile(rod_recipe(tmp_path, quantum_bits={"u": 9})).explain()
    coarse = explanation.stages
    assert [stage.name for stage in coarse] == [
        "central in float64, another scheme",
        "integers with 4 bits more",
        "integers",
    ]
    assert coarse[0].error == fine[0].error
    assert fine[2].error is not None and coarse[1].error is not None and coarse[2].error is not None
    assert coarse[2].error > 4 * coarse[1].error > 4 * fine[2].error
    (gain,) = explanation.one_more_bit
    assert gain.error is not None and gain.error < coarse[2].error


def test_a_law_without_a_reference_is_not_measured(tmp_path: Path) -> None:
    explanation = pd.compile(rod_recipe(tmp_path, reference=None)).explain()
    assert explanation.stages == () and explanation.problem == "the recipe of rod names no reference"


def test_an_artifact_of_a_file_cannot_be_explained(tmp_path: Path) -> None:
    compiled = pd.compile("heat1d", mesh=16)
    assert compiled.explain().stages[-1].error is not None
    compiled.save(tmp_path / "rod.pisnn")
    with pytest.raises(UsageError, match=r"^explain: the artifact comes from a file; compile its model again$"):
        pd.load(tmp_path / "rod.pisnn").explain()

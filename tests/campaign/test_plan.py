"""Plans: what they mean, and what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from campaign_cases import planned

from pisnn_deploy.campaign import plan
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.project import zoo


def test_the_product_is_in_the_order_of_the_fields(tmp_path: Path) -> None:
    cases = planned(
        tmp_path,
        "models: [heat1d, heat2d]\nmeshes: [own, 32]\ninitial: [bump, random]\nseeds: [3, 1]\nsteps: [horizon, 7]\n"
        "backends: [fast, onnx]\n",
    )
    assert len(cases) == 2 * 2 * 3 * 2 * 2
    said = [case.described() for case in cases]
    assert [(one["initial"], one["seed"], one["asked_steps"], one["backend"]) for one in said[:12]] == [
        (initial, seed, steps, backend)
        for initial, seed in (("bump", None), ("random", 3), ("random", 1))
        for steps in (None, 7)
        for backend in ("fast", "onnx")
    ]
    assert [one["model"] for one in said] == ["heat1d"] * 24 + ["heat2d"] * 24
    assert [one["mesh"] for one in said[::12]] == ["own", "32", "own", "32"]
    targets = [case.target for case in cases]
    assert all(target == targets[12 * (number // 12)] for number, target in enumerate(targets))
    assert len({case.key for case in cases}) == len(cases)


def test_one_value_stands_for_a_list_of_one(tmp_path: Path) -> None:
    (case,) = planned(tmp_path, "models: heat1d\n")
    assert case.described() == {
        "model": "heat1d",
        "mesh": "own",
        "boundary": "own",
        "profile": "loihi2",
        "coding": "delta",
        "residues": "unseen",
        "initial": "own",
        "seed": None,
        "asked_steps": None,
        "backend": "fast",
        "fault": None,
    }
    assert planned(tmp_path, "models: [heat1d]\nmeshes: [own]\nbackends: [fast]\n") == (case,)


def test_uses_of_residues_are_targets_of_their_own(tmp_path: Path) -> None:
    cases = planned(tmp_path, "models: heat1d\nresidues: [unseen, seen, auto]\n")
    assert [case.target.request.graph.residues for case in cases] == ["unseen", "seen", "auto"]
    assert len({case.key for case in cases}) == 3


def test_a_key_depends_on_the_content_of_files_and_not_on_where_they_are(tmp_path: Path) -> None:
    keys = []
    for folder, value in (("a", 1.0), ("b", 1.0), ("c", 1.5)):
        (tmp_path / folder).mkdir()
        with zoo.model_path("heat1d") as model:
            (tmp_path / folder / "m.pt").write_bytes(model.read_bytes())
        np.save(tmp_path / folder / "u.npy", np.full(128, value))
        (case,) = planned(tmp_path / folder, "models: m.pt\ninitial: u.npy\n")
        assert case.initial.location == str(tmp_path / folder / "u.npy")
        keys.append(case.key)
    assert keys[0] == keys[1] != keys[2]
    (tmp_path / "b" / "m.pt").write_bytes(b"another")
    (case,) = planned(tmp_path / "b", "models: m.pt\ninitial: u.npy\n")
    assert case.key != keys[0]


def test_another_version_has_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = planned(tmp_path, "models: heat1d\n")
    key = case.key
    monkeypatch.setattr("pisnn_deploy.campaign.case.__version__", "0.2.0")
    (case,) = planned(tmp_path, "models: heat1d\n")
    assert case.key != key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meshes: 3", "models: is missing"),
        ("models: []", "models: must be a list of at least 1, not an empty list"),
        ("models: nix", "models.0: model 'nix' is unknown; use a file, or {zoo}"),
        ("models: nix.pt", "models.0: {folder}/nix.pt: cannot be read (No such file or directory)"),
        ("models: heat1d\nmodel: heat1d", "model: is unknown; did you mean models?"),
        (
            "models: heat1d\nprocesses: 2",
            "processes: is unknown; known fields are models, meshes, boundaries, profiles, codings, residues, initial, "
            "seeds, steps, backends, faults",
        ),
        ("models: heat1d\nmeshes: [32, 32]", "meshes: lists 32 twice"),
        ("models: heat1d\nmeshes: [32, 0]", "meshes.1: mesh '0': 0 cells, expected 1 to 67108864"),
        ("models: heat1d\nmeshes: {a: 1}", "meshes.0: must be text, not a mapping"),
        (
            "models: heat1d\nmeshes: plate.msh",
            "meshes.0: {folder}/plate.msh: cannot be read (No such file or directory)",
        ),
        (
            "models: heat1d\nboundaries: [no-flux, perodic]",
            "boundaries.1: 'perodic': expected conditions such as no-flux, dirichlet=0,1 or x=periodic y=no-flux",
        ),
        (
            "models: heat1d\nprofiles: loihi9",
            "profiles.0: profile 'loihi9' is unknown; use {profiles}, or a .yaml file",
        ),
        ("models: heat1d\ncodings: unary", "codings.0: must be 'delta' or 'dense', not \"unary\""),
        (
            "models: heat1d\ninitial: modez",
            "initial.0: 'modez': expected own, random, a .npy file, or one of blend, bump, modes, sine, two-waves, "
            "zero",
        ),
        ("models: heat1d\ninitial: random", "seeds: must be given if and only if initial has random"),
        ("models: heat1d\nseeds: [1]", "seeds: must be given if and only if initial has random"),
        ("models: heat1d\ninitial: random\nseeds: [1.5]", "seeds.0: must be a whole number, not 1.5"),
        ("models: heat1d\nsteps: [horizon, -1]", "steps.1: expected horizon, or PDE steps from 0 to 1099511627776"),
        ("models: heat1d\nsteps: true", "steps.0: expected horizon, or PDE steps from 0 to 1099511627776"),
        ("models: heat1d\nbackends: lava", "backends.0: must be 'cpu', 'fast', 'onnx' or 'torch', not \"lava\""),
    ],
)
def test_a_bad_plan_is_one_sentence_that_names_the_field(text: str, message: str, tmp_path: Path) -> None:
    from pisnn_deploy.target.inheritance import board_names, names

    names_of = {
        "zoo": ", ".join((*zoo.names(), *zoo.laws())),
        "profiles": ", ".join((*names(), *board_names())),
        "folder": tmp_path,
    }
    with pytest.raises(FileError, match=f"^{re.escape(f'{tmp_path}/plan.yaml: ' + message.format(**names_of))}$"):
        planned(tmp_path, text)


def test_the_product_is_bounded_before_anything_is_made_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "LARGEST_PRODUCT", 11)
    text = "models: heat1d\ninitial: [own, random]\nseeds: [1, 2]\nsteps: [1, 2]\nbackends: [fast, onnx]\n"
    message = f"{tmp_path}/plan.yaml: has 12 cases, more than 11; split the plan"
    with pytest.raises(FileError, match=f"^{re.escape(message)}$"):
        planned(tmp_path, text)
    monkeypatch.setattr(plan, "LARGEST_PRODUCT", 12)
    assert len(planned(tmp_path, text)) == 12


def test_backends_are_those_that_there_are() -> None:
    from pisnn_deploy.runs import NAMES

    assert plan.Plan.model_validate({"models": "heat1d", "backends": NAMES}).backends == NAMES

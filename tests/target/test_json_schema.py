"""The published JSON Schema of profile files: the same as the model's, and it judges files as the loader does."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.target import board_names, load_board, load_profile, names
from pisnn_deploy.target.flaws import problems_of
from pisnn_deploy.target.json_schema import board_schema, json_schema

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "profile.schema.json"
VALIDATOR = Draft202012Validator(json_schema())
LOIHI1 = load_profile("loihi1").model_dump(mode="json")
FIGURE = {"value": 3, "confidence": "documented", "source": "s"}


BOARDS = ROOT / "docs" / "reference" / "board.schema.json"
BOARD_VALIDATOR = Draft202012Validator(board_schema())


def errors(document: object, validator: Draft202012Validator = VALIDATOR) -> list[str]:
    return sorted(error.json_path for error in validator.iter_errors(document))


def test_the_published_schema_is_up_to_date() -> None:
    """To update it: ``pisnn-deploy profiles schema > docs/reference/profile.schema.json``."""
    assert PUBLISHED.read_text(encoding="utf-8") == json.dumps(json_schema(), indent=2) + "\n"
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", names())
def test_library_profiles_are_valid(name: str) -> None:
    assert errors(read_mapping(ROOT / "hardware_profiles" / f"{name}.yaml")) == []
    assert errors(load_profile(name).model_dump(mode="json")) == []


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (lambda p: p.pop("core"), ["$"]),
        (lambda p: p["core"].pop("word_bits"), ["$.core"]),
        (lambda p: p["core"]["word_bits"].pop("source"), ["$.core.word_bits"]),
        (lambda p: p["core"]["word_bits"].update(value=0), ["$.core.word_bits.value"]),
        (lambda p: p["core"]["word_bits"].update(value=None), ["$.core.word_bits.value"]),
        (lambda p: p["core"].update(word_bits=64), ["$.core.word_bits"]),
        (lambda p: p["core"].update(speed=FIGURE), ["$.core"]),
        (lambda p: p.update(speed=FIGURE), ["$"]),
        (lambda p: p.update(name="My Chip"), ["$.name"]),
        (lambda p: p.update(core=None), ["$.core"]),
        (lambda p: p["core"]["word_bits"].update(confidence="sure"), ["$.core.word_bits.confidence"]),
        (lambda p: p["core"]["neurons_max"].update(confidence="unpublished"), ["$.core.neurons_max.value"]),
        (
            lambda p: p["core"]["neurons_max"].update(confidence="contradictory", low=1, high=None),
            ["$.core.neurons_max.high"],
        ),
        (lambda p: p["payload"]["legal_widths_bits"].update(value=[0, -8]), ["$.payload.legal_widths_bits.value[1]"]),
        (lambda p: p["accumulator"]["overflow"].update(value="explode"), ["$.accumulator.overflow.value"]),
    ],
)
def test_a_broken_profile_is_refused(change: Change, paths: list[str]) -> None:
    broken = copy.deepcopy(LOIHI1)
    change(broken)
    assert errors(broken) == paths
    assert problems_of(broken, "file")


@pytest.mark.parametrize(
    "child",
    [
        {"extends": "loihi2"},
        {"extends": "../mine.yaml", "name": "mine", "core": {}},
        {"extends": "loihi2", "core": {"neurons_max": FIGURE}},
    ],
)
def test_a_child_gives_only_what_differs(child: dict[str, object]) -> None:
    assert errors(child) == []


@pytest.mark.parametrize(
    ("child", "path"),
    [
        ({"extends": 3}, "$.extends"),
        ({"extends": "loihi2", "core": {"neurons_max": {"value": 3}}}, "$.core.neurons_max"),
        ({"extends": "loihi2", "core": {"neuron_max": FIGURE}}, "$.core"),
        ({"extends": "loihi2", "speed": FIGURE}, "$"),
    ],
)
def test_a_child_is_as_strict(child: dict[str, object], path: str) -> None:
    assert set(errors(child)) == {path}


def described(schema: dict[str, Any]) -> list[str]:
    return [field for field, part in schema["properties"].items() if not part.get("description")]


def test_editors_can_explain_every_field() -> None:
    schema = json_schema()
    assert all(part["description"] for part in schema["$defs"].values())
    assert all(described(part) == [] for part in schema["$defs"].values())
    # A section is described where it is defined.
    assert all(part.get("description") or "$ref" in part for part in schema["properties"].values())
    assert "\n" not in "".join(part["description"] for part in schema["$defs"].values())


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 30), st.sampled_from(["wrap", "", "documented"]), st.just([8])
)
FIGURES = st.fixed_dictionaries(
    {
        "value": VALUES,
        "confidence": st.sampled_from(["documented", "quoted", "inferred", "contradictory", "unpublished"]),
    },
    optional={
        "low": VALUES,
        "high": VALUES,
        "source": st.sampled_from(["s", "quoted by s", ""]),
        "unit": st.just("bit"),
    },
)


@given(section=st.sampled_from(["core", "weights", "accumulator", "payload", "time"]), figure=FIGURES, data=st.data())
def test_schema_and_loader_agree(section: str, figure: dict[str, Any], data: st.DataObject) -> None:
    document = copy.deepcopy(LOIHI1)
    key = data.draw(st.sampled_from(sorted(document[section])))
    document[section][key] = figure
    found = problems_of(document, "file")
    # The order of low, value and high is what JSON Schema cannot say.
    only_order = bool(found) and all("must ascend" in problem.problem for problem in found)
    assert (errors(document) == []) == (not found or only_order)


def test_the_published_schema_of_boards_is_up_to_date() -> None:
    """To update it: ``pisnn-deploy profiles schema --boards > docs/reference/board.schema.json``."""
    assert BOARDS.read_text(encoding="utf-8") == json.dumps(board_schema(), indent=2) + "\n"
    Draft202012Validator.check_schema(board_schema())
    assert all(part["description"] for part in board_schema()["$defs"].values())
    assert all(described(part) in ([], ["target"]) or "$ref" in str(part) for part in board_schema()["$defs"].values())


@pytest.mark.parametrize("name", board_names())
def test_profiles_of_boards_are_valid_and_none_of_a_chip_is(name: str) -> None:
    whole = load_board(name).model_dump(mode="json")
    assert errors(read_mapping(ROOT / "hardware_profiles" / "boards" / f"{name}.yaml"), BOARD_VALIDATOR) == []
    assert errors(whole, BOARD_VALIDATOR) == [] and errors(whole) != []
    assert errors({"extends": name, "name": "mine"}, BOARD_VALIDATOR) == []
    assert set(errors(LOIHI1, BOARD_VALIDATOR)) == {"$"}


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (lambda p: p.update(target="abacus"), ["$.target"]),
        (lambda p: p.update(target="fpga"), ["$", "$.clock", "$.energy"]),
        (lambda p: p.pop("memory"), ["$"]),
        (lambda p: p["memory"].pop("ram_bytes"), ["$.memory"]),
        (lambda p: p["clock"]["hz"].update(value=0), ["$.clock.hz.value"]),
        (lambda p: p["clock"].update(mhz=FIGURE), ["$.clock"]),
        (lambda p: p["energy"]["cycle_nj"].pop("source"), ["$.energy.cycle_nj"]),
        (lambda p: p.update(name="My Board"), ["$.name"]),
    ],
)
def test_a_broken_profile_of_a_board_is_refused(change: Change, paths: list[str]) -> None:
    broken = load_board("cortex-m0").model_dump(mode="json")
    change(broken)
    assert sorted(set(errors(broken, BOARD_VALIDATOR))) == paths
    assert problems_of(broken, "file")


@pytest.mark.parametrize(
    "child",
    [
        {"extends": "cortex-m0", "clock": {"mhz": FIGURE}, "memory": {}},
        {"extends": "cortex-m0", "speed": FIGURE},
        {"extends": "cortex-m0", "target": "fpga", "memory": {}},
        {"name": "mine"},
    ],
)
def test_a_child_of_a_board_is_as_strict(child: dict[str, object]) -> None:
    assert errors(child, BOARD_VALIDATOR)

"""Profiles that extend others: what they inherit, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.target import Figure, Problem, Profile, board_names, load_profile, names, parents_of, validate_profile
from pisnn_deploy.target.inheritance import LIMIT

LOIHI2 = load_profile("loihi2")
LIBRARY = ", ".join((*names(), *board_names()))
OWN = """\
extends: loihi2
name: mine
core:
  neurons_max: {value: 100, confidence: documented, source: "My own limit"}
"""


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        load_profile(str(path))
    (problem,) = validate_profile(str(path))
    assert problem.sentence == str(caught.value)
    return str(caught.value)


def test_profile_that_extends_the_library(tmp_path: Path) -> None:
    path = write(tmp_path, OWN)
    mine = load_profile(str(path))
    assert mine.name == "mine" and mine.description == LOIHI2.description
    assert mine.core.neurons_max == Figure[int](
        value=100, low=None, high=None, confidence="documented", source="My own limit"
    )
    assert mine.core.word_bits == LOIHI2.core.word_bits
    assert mine.weights == LOIHI2.weights
    assert parents_of(str(path)) == ("loihi2",)


def test_profile_that_extends_a_file_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "boards").mkdir()
    write(tmp_path, OWN)
    child = write(tmp_path, "{extends: ../mine.yaml, name: child}", "boards/child.yml")
    assert load_profile(str(child)).core.neurons_max.value == 100
    assert parents_of(str(child)) == ("../mine.yaml", "loihi2")
    monkeypatch.chdir(tmp_path)
    assert load_profile("boards/child.yml").name == "child"


def test_a_figure_is_replaced_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "{extends: loihi2, core: {neurons_max: {value: 100}}}")
    assert [problem.field for problem in validate_profile(str(path))] == [
        "core.neurons_max.confidence",
        "core.neurons_max.source",
    ]
    narrow = "{value: 100, confidence: inferred, source: s}"
    path = write(tmp_path, f"{{extends: loihi2, core: {{neurons_max: {narrow}}}}}")
    assert LOIHI2.core.neurons_max.high == 8192
    assert load_profile(str(path)).core.neurons_max.high is None


@pytest.mark.parametrize("name", names())
def test_an_empty_child_is_its_parent(name: str, tmp_path: Path) -> None:
    assert load_profile(str(write(tmp_path, f"extends: {name}"))) == load_profile(name)


SECTIONS = sorted(set(Profile.model_fields) - {"name", "description"})


@given(section=st.sampled_from(SECTIONS), data=st.data())
def test_one_figure_changes_and_no_other(
    section: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = data.draw(st.sampled_from(sorted(type(getattr(LOIHI2, section)).model_fields)))
    figure = getattr(getattr(LOIHI2, section), key).model_copy(update={"source": "Mine, quoted by me."})
    text = f"{{extends: loihi2, {section}: {{{key}: {figure.model_dump_json()}}}}}"
    mine = load_profile(str(write(tmp_path_factory.getbasetemp(), text)))
    changed = getattr(LOIHI2, section).model_copy(update={key: figure})
    assert mine == LOIHI2.model_copy(update={section: changed, "name": mine.name})


def test_cycles(tmp_path: Path) -> None:
    first = write(tmp_path, "extends: second.yaml", "first.yaml")
    second = write(tmp_path, "extends: first.yaml", "second.yaml")
    assert refusal(first) == (f"{second}: extends: 'first.yaml' extends itself, directly or through another profile")
    own = write(tmp_path, "extends: ./mine.yaml")
    assert refusal(own) == (f"{own}: extends: './mine.yaml' extends itself, directly or through another profile")


def test_a_cycle_by_way_of_a_link(tmp_path: Path) -> None:
    path = write(tmp_path, "extends: link.yaml")
    (tmp_path / "link.yaml").symlink_to(path)
    assert "extends itself" in refusal(path)
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert refusal(loop) == f"{loop}: cannot be read (Too many levels of symbolic links)"


def chain(folder: Path, length: int) -> Path:
    """Files of which each extends the next; the last is a profile of the library."""
    for number in range(1, length):
        parent = "loihi2" if number == length - 1 else f"{number + 1}.yaml"
        write(folder, f"extends: {parent}", f"{number}.yaml")
    return folder / "1.yaml"


def test_long_chains(tmp_path: Path) -> None:
    assert load_profile(str(chain(tmp_path, LIMIT))) == LOIHI2
    assert refusal(chain(tmp_path, LIMIT + 1)) == (
        f"{tmp_path / '8.yaml'}: extends: 'loihi2' makes the chain too long: at most 8 profiles may extend each other"
    )


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ("loihi3", f"profile 'loihi3' is unknown; the library has {LIBRARY}"),
        ("x" * 300, f"profile '{'x' * 300}' is unknown; the library has {LIBRARY}"),
        ('"\\0.yaml"', f"profile '\\x00.yaml' is unknown; the library has {LIBRARY}"),
        ("3", "found 3; expected the name of a profile, or a file"),
        ("", "found null; expected the name of a profile, or a file"),
        ("[loihi1, loihi2]", "found a list; expected the name of a profile, or a file"),
        ("parent.yaml", "'parent.yaml' is not a valid profile: system: is missing (and 16 more)"),
        ("small.yaml", "'small.yaml' is not a valid profile: core.word_bits.value: found 0"),
    ],
)
def test_parent_that_is_refused(parent: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, "{name: mine, description: d, speed: 3}", "parent.yaml")
    figure = "{value: 0, confidence: documented, source: s}"
    write(tmp_path, f"{{extends: loihi2, core: {{word_bits: {figure}}}}}", "small.yaml")
    path = write(tmp_path, f"extends: {parent}")
    assert refusal(path) == f"{path}: extends: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("- 1", "does not contain a mapping; expected keys and values"),
    ],
)
def test_parent_that_cannot_be_read(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        write(tmp_path, text, "parent.yaml")
    path = write(tmp_path, "extends: parent.yaml")
    assert refusal(path) == f"{tmp_path / 'parent.yaml'}: {message}"


def test_all_problems_are_reported(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "{extends: loihi2, name: My Chip, weights: 3, "
        "core: {neurons_max: {value: -1, confidence: sure, source: s}, neuron_max: 3}}",
    )
    file = str(path)
    assert validate_profile(file) == (
        Problem(file, "name", 'found "My Chip"', "a letter followed by at most 63 lower-case letters, digits, - and _"),
        Problem(file, "core.neurons_max.value", "found -1", "at least 0"),
        Problem(
            file,
            "core.neurons_max.confidence",
            'found "sure"',
            "'documented', 'quoted', 'inferred', 'contradictory' or 'unpublished'",
        ),
        Problem(file, "core.neuron_max", "is not a field of a profile", "'neurons_max'"),
        Problem(file, "weights", "found 3", "a mapping of figures"),
    )


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
KEYS = st.sampled_from(["value", "low", "high", "confidence", "source", "core", "word_bits", "bits", "extends", "x\ny"])
TREES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=4), max_leaves=12
)


@given(section=st.sampled_from(["extends", "name", *SECTIONS]), tree=TREES)
def test_any_document_gives_sentences(section: str, tree: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    # JSON's NaN and Infinity are plain words in YAML, and wrong as such too.
    path = write(tmp_path_factory.getbasetemp(), json.dumps({"extends": "loihi2", section: tree}))
    for problem in validate_profile(str(path)):
        assert problem.problem and problem.sentence.startswith(f"{path}: ")


def test_a_name_that_is_no_profile() -> None:
    (problem,) = validate_profile("loihi3")
    assert problem.sentence == (f"loihi3: is neither in the library nor a file; expected {LIBRARY}, or a .yaml file")
    assert validate_profile("loihi2") == ()


def test_no_other_file_is_opened_because_a_profile_says_so(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password: x")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    for parent in ("secret", str(tmp_path / "secret"), "folder.yaml", "pipe.yaml"):
        path = write(tmp_path, f"extends: {parent}")
        assert refusal(path) == f"{path}: extends: {parent!r} is not a .yaml file"

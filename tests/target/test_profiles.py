"""Profiles: the library's figures, and what is said of files that are no profiles."""

from __future__ import annotations

import ast
import re
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pisnn_deploy.core.errors import FileError, PisnnError, UsageError
from pisnn_deploy.core.plain_yaml import MAXIMUM_BYTES
from pisnn_deploy.target import Figure, Profile, board_names, load_profile, names, parents_of
from pisnn_deploy.target.json_schema import json_schema

LOIHI2 = load_profile("loihi2")
LIBRARY = ", ".join((*names(), *board_names()))


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """What is said of a file, without its path."""
    with pytest.raises(FileError) as caught:
        load_profile(str(path))
    return str(caught.value).removeprefix(f"{path}: ")


def test_names() -> None:
    assert names() == ("generic-int", "hala_point", "kapoho_bay", "kapoho_point", "loihi1", "loihi2", "nahuku")


@pytest.mark.parametrize("name", names())
def test_library_profile_has_its_own_name(name: str) -> None:
    assert load_profile(name).name == name


def test_figures_of_loihi2() -> None:
    assert LOIHI2.weights.bits.value == 8
    assert LOIHI2.weights.mantissa_limit_mixed.value == 254
    assert LOIHI2.weights.step_mixed.value == 2
    assert LOIHI2.state.bits.value == 24
    assert LOIHI2.payload.bits.value == 24
    assert LOIHI2.payload.legal_widths_bits.value == (0, 8, 16, 24, 32)
    assert (LOIHI2.accumulator.bits.value, LOIHI2.accumulator.bits.confidence) == (32, "inferred")
    assert LOIHI2.decay.bits.value == 12
    assert LOIHI2.core.neurons_max.value == 4095
    assert LOIHI2.core.synaptic_memory_words.value == 16000
    assert LOIHI2.core.word_bits.value == 64
    assert LOIHI2.core.total_words.value == 20000
    assert LOIHI2.chip.cores_usable.value == 120
    assert LOIHI2.system.chips.value == 1
    assert LOIHI2.payload.graded.value


def test_figures_of_the_others() -> None:
    loihi1, generic = load_profile("loihi1"), load_profile("generic-int")
    assert not loihi1.payload.graded.value
    assert loihi1.accumulator.bits.value == 16
    assert loihi1.core.neurons_max.value == 1024
    assert generic.state.bits.value == 32
    assert generic.core.neurons_max.value is None
    assert not generic.core.neurons_max.is_unpublished


SYSTEMS = [
    ("kapoho_bay", "loihi1", 2, 256),
    ("nahuku", "loihi1", 32, 4096),
    ("kapoho_point", "loihi2", 8, 960),
    ("hala_point", "loihi2", 1152, 140544),
]


@pytest.mark.parametrize(("name", "chip", "chips", "cores"), SYSTEMS)
def test_figures_of_systems(name: str, chip: str, chips: int, cores: int) -> None:
    system, of_one = load_profile(name), load_profile(chip)
    assert parents_of(name) == (chip,)
    assert system.system.chips.value == chips
    assert system.chip.cores_usable.value is not None
    assert system.chip.cores_usable.value * chips == cores
    assert (system.core, system.weights, system.payload) == (of_one.core, of_one.weights, of_one.payload)


@pytest.mark.parametrize("name", [name for name, *_ in SYSTEMS])
def test_what_nobody_published_of_systems_is_not_invented(name: str) -> None:
    system = load_profile(name)
    assert system.time.barrier_ns.is_unpublished
    if system.payload.graded.value:
        assert system.core.output_axon_cross_chip.is_unpublished


def test_ranges_where_sources_on_systems_disagree() -> None:
    kapoho_point, nahuku = load_profile("kapoho_point").system.chips, load_profile("nahuku").system.chips
    assert (kapoho_point.low, kapoho_point.high, kapoho_point.confidence) == (4, 8, "contradictory")
    assert (nahuku.low, nahuku.high) == (8, 32)
    usable = load_profile("hala_point").chip.cores_usable
    assert (usable.low, usable.value, usable.high, usable.confidence) == (120, 122, 122, "inferred")


def test_the_page_on_profiles_names_them_all_and_its_example_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "profiles.md").read_text(encoding="utf-8")
    rows = [re.findall("`([^`]+)`", line) for line in page.splitlines() if line.startswith("| `")]
    assert sorted([row[0], *parents_of(row[0])] for row in rows if row[0] in names()) == sorted(
        row for row in rows if row[0] in names()
    )
    assert {row[0] for row in rows} >= set(names())
    (example,) = re.findall(r"^    extends:.*?^(?=\S)", page, re.MULTILINE | re.DOTALL)
    assert load_profile(str(write(tmp_path, textwrap.dedent(example)))).system.chips.value == 4


def test_a_description_says_how_many_chips_there_are() -> None:
    for name, _, chips, _ in SYSTEMS:
        assert f" {chips:,} Loihi " in load_profile(name).description


def test_energy_of_loihi2_is_not_invented() -> None:
    energy = LOIHI2.energy.synaptic_operation_pj
    assert energy.is_unpublished
    assert (energy.value, energy.low, energy.high) == (None, 0.067, 6.8)


def test_profiles_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        LOIHI2.state.bits.value = 16


def test_unknown_name() -> None:
    with pytest.raises(UsageError) as caught:
        load_profile("loihi3")
    assert str(caught.value) == f"profile 'loihi3' is unknown; use {LIBRARY}, or a .yaml file"


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == "cannot be read (No such file or directory)"


def test_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    assert refusal(folder) == "cannot be read (Is a directory)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not contain a mapping; expected keys and values"),
        ("- 1", "does not contain a mapping; expected keys and values"),
        ("name: [", "is not YAML: expected the node content, but found '<stream end>' (line 1, column 8)"),
        ("name: a\nname: b", "line 2 repeats the key 'name'"),
        ("core: {a: 1, a: 2}", "line 1 repeats the key 'a'"),
        ("a: &x [1]\nb: *x", "line 2 uses an alias, which is not allowed"),
        ("a: !!python/object/apply:os.getcwd []", "line 1 uses a tag, which is not allowed"),
        ("a: !!timestamp x", "line 1 uses a tag, which is not allowed"),
        ("1: a", "line 1 has a key that is not text"),
        ("a: 2001-99-99", "is not YAML: month must be in 1..12"),
        (
            "{extends: loihi2, speed: 3}",
            "speed: is not a field of a profile; expected one of extends, name, description, system, chip, core, "
            "synapse, weights, state, microcode, accumulator, payload, decay, threshold, bias, delay, io, time, "
            "energy, power",
        ),
        ("{extends: loihi2, cores: 3}", "cores: is not a field of a profile; expected 'core'"),
        (
            "{extends: loihi2, name: My Chip}",
            'name: found "My Chip"; expected a letter followed by at most 63 lower-case letters, digits, - and _',
        ),
        ("{extends: loihi2, core: 3}", "core: found 3; expected a mapping of figures"),
        (
            "{extends: loihi2, core: {word_bits: 64}}",
            "core.word_bits: found 64; expected a figure with value, confidence and source",
        ),
        (
            "{extends: loihi2, description: 0x" + "f" * 9000 + "}",
            "description: found a huge integer; expected text",
        ),
        (
            "{extends: loihi2, description: [" + "1, " * 99 + "]}",
            "description: found a list; expected text",
        ),
        (
            "{extends: loihi2, state: " + "x" * 99 + "}",
            'state: found "' + "x" * 59 + "...; expected a mapping of figures",
        ),
    ],
)
def test_file_that_is_no_profile(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(write(tmp_path, text)) == message


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ("{value: -1, confidence: documented, source: s}", "value: found -1; expected at least 0"),
        ("{value: true, confidence: documented, source: s}", "value: found true; expected an integer"),
        (
            "{confidence: documented, source: s}",
            "value: is missing; expected a value, or null if there is none",
        ),
        ("{value: 3, confidence: documented, source: ''}", 'source: found ""; expected text that is not empty'),
        (
            "{value: 3, confidence: sure, source: s}",
            "confidence: found \"sure\"; expected 'documented', 'quoted', 'inferred', 'contradictory' or 'unpublished'",
        ),
        (
            "{value: 3, confidence: documented, source: s, sources: s}",
            "sources: is not a field of a profile; expected 'source'",
        ),
        (
            "{value: 3, confidence: unpublished, source: s}",
            "the value of an unpublished figure must be null, not 3",
        ),
        (
            "{value: 3, low: 1, confidence: contradictory, source: s}",
            "a contradictory figure needs low and high",
        ),
        (
            "{value: 3, low: 4, high: 5, confidence: inferred, source: s}",
            "low, value and high must ascend, but are 4, 3, 5",
        ),
    ],
)
def test_figure_that_is_refused(tmp_path: Path, figure: str, message: str) -> None:
    path = write(tmp_path, f"extends: loihi2\ncore:\n  neurons_max: {figure}\n")
    field = "core.neurons_max." if re.match(r"\w+: (found|is)", message) else "core.neurons_max: "
    assert refusal(path) == field + message


def test_missing_section(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "{name: mine, description: d}"))
    assert message == (
        "system: is missing; expected a mapping of figures (and 15 more: see `pisnn-deploy profiles validate`)"
    )


def test_large_file(tmp_path: Path) -> None:
    path = write(tmp_path, "#" * (MAXIMUM_BYTES + 1))
    assert refusal(path) == "is larger than 131072 bytes; expected a short YAML file"


def test_deep_nesting(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "a: " + "[" * 5000)) == "is nested too deeply"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8"))))
def test_any_bytes_give_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    with pytest.raises(PisnnError):
        load_profile(str(path))


def figures(profile: Profile) -> dict[str, Figure[object]]:
    """Every figure of a profile by its key."""
    sections = [(name, getattr(profile, name)) for name in type(profile).model_fields]
    return {
        f"{name}.{key}": getattr(section, key)
        for name, section in sections
        if isinstance(section, BaseModel)
        for key in type(section).model_fields
    }


@pytest.mark.parametrize("name", names())
def test_what_was_not_read_says_who_quotes_it(name: str) -> None:
    for key, figure in figures(load_profile(name)).items():
        if figure.confidence == "quoted":
            assert "quoted by" in figure.source, key
        # Nobody here has read the technology brief of Loihi 2, nor Frady et al.
        if "brief" in figure.source or "Frady" in figure.source:
            assert "quoted by" in figure.source or "not confirmed" in figure.source, key


def test_a_quotation_without_who_quotes_is_refused(tmp_path: Path) -> None:
    text = "extends: loihi2\ncore: {word_bits: {value: 64, confidence: quoted, source: The brief}}\n"
    assert refusal(write(tmp_path, text)) == ("core.word_bits: the source of a quoted figure must say 'quoted by' whom")


def test_messages_and_hops() -> None:
    loihi1 = load_profile("loihi1")
    energy, time, chip = loihi1.energy, loihi1.time, loihi1.chip
    assert (energy.within_tile_pj.value, time.within_tile_ns.value) == (1.7, 2.1)
    assert (energy.hop_east_west_pj.value, time.hop_east_west_ns.value) == (3.0, 4.1)
    assert (energy.hop_north_south_pj.low, energy.hop_north_south_pj.high) == (4.0, 4.2)
    assert time.hop_north_south_ns.value == 6.5
    assert (energy.message_out_pj.value, time.message_out_ns.value, time.message_in_ns.value) == (111.0, 5.1, 16.0)
    assert energy.message_in_pj.is_unpublished
    assert (chip.cores_per_router.value, chip.router_columns.value, chip.router_rows.value) == (4, 8, 4)
    for key, figure in figures(LOIHI2).items():
        if "hop_" in key or "message_" in key or "within_tile" in key:
            assert figure.is_unpublished and (figure.low, figure.high) == (None, None), key


def test_ranges_of_loihi1_hold_a_neuron_that_spikes_and_one_that_does_not() -> None:
    loihi1 = load_profile("loihi1")
    active, update = loihi1.energy.neuron_update_active_pj, loihi1.time.neuron_update_ns
    assert (active.low, active.value, active.high) == (72.8, 81.0, 142.1)
    assert (update.low, update.value, update.high) == (5.3, 8.4, 39.7)


@pytest.mark.parametrize("text", ["x: " + "[" * 100_000, "{a: " * 25_000, "? " * 50_000])
def test_depth_takes_no_time(text: str, tmp_path: Path) -> None:
    # The time of PyYAML's scanner grows with the square of the depth.
    path = write(tmp_path, text)
    started = time.process_time()
    assert refusal(path) == "is nested too deeply"
    assert time.process_time() - started < 1


def test_figures_that_nothing_reads_are_marked_as_information() -> None:
    package = Path(__file__).parents[2] / "pisnn_deploy"
    read: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())) if path.name != "schema.py" else ():
            if isinstance(node, ast.Attribute):
                read.add(f"{node.value.attr if isinstance(node.value, ast.Attribute) else ''}.{node.attr}")
                read.add(f".{node.attr}")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                read.add(f".{node.value}")
    # `accumulator.overflow` shares its name with a claim, so its section counts.
    unread = {
        key
        for key in figures(LOIHI2)
        if (key if key == "accumulator.overflow" else "." + key.split(".")[1]) not in read
    }
    sections = json_schema()["$defs"]
    marked = {
        f"{section}.{name}"
        for section, kind in Profile.model_fields.items()
        for name, field in sections.get(getattr(kind.annotation, "__name__", ""), {}).get("properties", {}).items()
        if field.get("description", "").endswith("For information only: no rule or estimate uses it.")
    }
    assert unread == marked
    listed = (Path(__file__).parents[2] / "docs" / "reference" / "profiles.md").read_text()
    assert len(marked) == 6 and all(f"`{key}`" in listed for key in marked)

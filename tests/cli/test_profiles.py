"""``pisnn-deploy profiles``: list, show, validate and schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pisnn_deploy.cli.main import group
from pisnn_deploy.target import board_names, load_board, load_profile, names

ROOT = Path(__file__).parents[2]
BROKEN = """\
extends: loihi2
name: My Chip
core: {neuron_max: {value: 3, confidence: documented, source: s}}
"""
NAME = "a letter followed by at most 63 lower-case letters, digits, - and _"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a profile that is right and one that is not, on a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "240")
    (tmp_path / "mine.yaml").write_text("{extends: kapoho_point, name: mine, description: Mine.}")
    (tmp_path / "bad.yaml").write_text(BROKEN)
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(group, ["profiles", *words])


def rows(output: str) -> list[list[str]]:
    """Cells of the rows of a table, without its heading."""
    lines = [line for line in output.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_list() -> None:
    ended = call("list")
    assert ended.exit_code == 0
    assert [cell.strip() for cell in ended.stdout.splitlines()[2].strip("┃").split("┃")] == [
        "name",
        "chips",
        "cores",
        "states/payload bits",
        "description",
    ]
    found, boards = (rows(part) for part in ended.stdout.split("boards, which run exports"))
    assert [row[0] for row in boards] == [*board_names()]
    assert [row[1:] for row in boards] == [
        [load_board(name).target, load_board(name).description] for name, *_ in boards
    ]
    assert [row[:4] for row in found] == [
        ["generic-int", "no limit", "no limit", "32/32"],
        ["hala_point", "1,152", "140,544", "24/24"],
        ["kapoho_bay", "2", "256", "24/0"],
        ["kapoho_point", "8", "960", "24/24"],
        ["loihi1", "1", "128", "24/0"],
        ["loihi2", "1", "120", "24/24"],
        ["nahuku", "32", "4,096", "24/0"],
    ]
    assert [row[4] for row in found] == [load_profile(name).description for name in names()]
    assert call().stdout == ended.stdout
    assert call("list", "--quiet").output == ""


def test_list_as_json() -> None:
    found = {profile["name"]: profile for profile in json.loads(call("list", "--json").stdout)["profiles"]}
    assert list(found) == list(names())
    assert found["hala_point"] == {
        "name": "hala_point",
        "description": load_profile("hala_point").description,
        "extends": "loihi2",
        "chips": 1152,
        "cores_usable_per_chip": 122,
        "state_bits": 24,
        "payload_bits": 24,
    }
    assert found["generic-int"]["chips"] is found["generic-int"]["extends"] is None


def test_show_says_what_a_profile_extends() -> None:
    shown = call("show", "mine.yaml").stdout
    assert shown.splitlines()[0] == "mine extends kapoho_point, which extends loihi2"
    found = {row[0]: row[1:] for row in rows(shown)}
    assert found["system.chips"][:3] == ["8", "4 to 8", "contradictory"]
    assert found["time.barrier_ns"][:3] == ["None", "at least 0.0", "unpublished"]
    assert found["energy.neuron_update_active_pj"][:3] == ["None", "at most 10.8", "unpublished"]
    assert found["core.word_bits"][:3] == ["64", "", "documented"]
    assert "extends" not in call("show", "loihi2").stdout


@pytest.mark.parametrize("name", ["mine.yaml", "loihi1"])
def test_what_show_prints_as_json_is_a_profile(name: str, folder: Path) -> None:
    printed = call("show", name, "--json").stdout
    assert json.loads(printed).get("extends") == {"mine.yaml": "kapoho_point"}.get(name)
    (folder / "printed.yaml").write_text(printed)
    assert load_profile("printed.yaml") == load_profile(name)


def test_validate_several_files() -> None:
    ended = call("validate", "mine.yaml", "bad.yaml", "none.yaml", "loihi2")
    assert ended.exit_code == 2
    assert ended.stdout == "mine.yaml: a valid profile of mine\nloihi2: a valid profile of loihi2\n"
    assert ended.stderr.splitlines() == [
        f'error: bad.yaml: name: found "My Chip"; expected {NAME}',
        "error: bad.yaml: core.neuron_max: is not a field of a profile; expected 'neurons_max'",
        "error: none.yaml: cannot be read (No such file or directory)",
    ]


def test_validate_what_is_right() -> None:
    ended = call("validate", "mine.yaml", "-q")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")
    ended = call("validate", "mine.yaml", "--json")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout) == {
        "valid": True,
        "files": [{"file": "mine.yaml", "valid": True, "name": "mine", "errors": []}],
    }


def test_validate_as_json() -> None:
    ended = call("validate", "bad.yaml", "mine.yaml", "mine.yaml", "--json")
    assert ended.exit_code == 2 and ended.stderr == ""
    found = json.loads(ended.stdout)
    assert not found["valid"]
    assert [(file["file"], file["valid"], file["name"]) for file in found["files"]] == [
        ("bad.yaml", False, None),
        ("mine.yaml", True, "mine"),
    ]
    assert found["files"][0]["errors"] == [
        {"file": "bad.yaml", "field": "name", "problem": 'found "My Chip"', "expected": NAME},
        {
            "file": "bad.yaml",
            "field": "core.neuron_max",
            "problem": "is not a field of a profile",
            "expected": "'neurons_max'",
        },
    ]


def test_validate_names_the_parent_that_is_wrong(folder: Path) -> None:
    (folder / "child.yaml").write_text("extends: bad.yaml")
    (error,) = json.loads(call("validate", "child.yaml", "--json").stdout)["files"][0]["errors"]
    assert error == {
        "file": "child.yaml",
        "field": "extends",
        "problem": "'bad.yaml' is not a valid profile: name: found \"My Chip\" (and 1 more)",
        "expected": "",
    }


def test_validate_needs_a_file() -> None:
    ended = call("validate")
    assert ended.exit_code == 2 and "Missing argument 'FILE...'" in ended.stderr


def test_text_of_a_file_cannot_break_the_line(folder: Path) -> None:
    (folder / "bad.yaml").write_text('{extends: loihi2, "a\\n\\e[2Jb": 1, name: "\\n"}')
    lines = call("validate", "bad.yaml").stderr.splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        'error: bad.yaml: name: found "\\n"',
        r"error: bad.yaml: a\n\x1b[2Jb: is not a field of a profile",
    ]


def test_schema_is_the_published_one() -> None:
    assert call("schema").stdout == (ROOT / "docs" / "reference" / "profile.schema.json").read_text(encoding="utf-8")
    published = (ROOT / "docs" / "reference" / "board.schema.json").read_text(encoding="utf-8")
    assert call("schema", "--boards").stdout == published
    assert call("schema", "-q").output == ""

"""Which name a profile goes by: that of the library belongs to the library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from models_under_test import compiled

import pisnn_deploy as pd
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.target import digest_of_profile, load_profile, names, own_profile, source_of

CHIPS = "system: {chips: {value: 4, confidence: documented, source: Counted}}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        (f"extends: loihi2\n{CHIPS}", "mine.yaml", "mine.yaml"),
        (f"extends: loihi1\nname: loihi2\n{CHIPS}", "boards/mine.yml", "mine.yml"),
        (f"extends: generic-int\nname: loihi2\n{CHIPS}", "./loihi2", "./loihi2"),
        (f"extends: loihi2\nname: my_board\n{CHIPS}", "mine.yaml", "my_board"),
        ("extends: loihi2\n", "copy.yaml", "loihi2"),
        (f"extends: loihi2\n{CHIPS}", "a\x1b[31m.yaml", "a\\x1b[31m.yaml"),
    ],
)
def test_a_file_does_not_take_a_name_of_the_library(text: str, path: str, name: str, folder: Path) -> None:
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(text)
    loaded = load_profile(path)
    assert loaded.name == name
    assert (name in names()) == (digest_of_profile(loaded) == digest_of_profile(load_profile("loihi2")))
    assert source_of(path) == path and source_of("loihi2") == "library"


@pytest.mark.parametrize("named", ["mine.yaml", "/etc/passwd", "./loihi2", "loihi9", "LOIHI2", "loihi2 ", "a\nb"])
def test_an_artifact_names_a_profile_of_the_library_or_is_refused(named: str, folder: Path) -> None:
    (folder / "mine.yaml").write_text(f"extends: generic-int\nname: loihi2\n{CHIPS}")
    with pytest.raises(UsageError) as caught:
        own_profile(named, "heat.pisnn")
    shown = named.replace("\n", "\\n")
    assert str(caught.value) == (
        f"heat.pisnn: was compiled for the profile {shown!r}, which is not in the library; give the profile to "
        "check against with `profile`"
    )


def test_the_api_takes_no_file_that_an_artifact_names(folder: Path) -> None:
    from dataclasses import replace

    (folder / "mine.yaml").write_text(f"extends: generic-int\nname: loihi2\n{CHIPS}")
    graph = replace(compiled(cells=16), profile="mine.yaml")
    write_artifact(folder / "a.pisnn", graph, {})
    with pytest.raises(UsageError, match=r"^the artifact: was compiled for the profile 'mine.yaml', which is not"):
        pd.load("a.pisnn").check()
    assert pd.load("a.pisnn").check("mine.yaml").profile == "mine.yaml"


def test_reports_say_what_they_were_made_with(folder: Path) -> None:
    from dataclasses import replace

    write_artifact(folder / "a.pisnn", replace(compiled(cells=16), profile=""), {})
    (folder / "mine.yaml").write_text(f"extends: loihi2\n{CHIPS}")

    def said(*words: str) -> str:
        ended = CliRunner().invoke(group, ["check", "a.pisnn", *words])
        assert ended.exit_code == 0, ended.output
        return ended.output

    made_with = json.loads(said("--format", "json", "--output", "base.json"))["made_with"]
    assert made_with["profile"] == {
        "source": "library",
        "sha256": digest_of_profile(load_profile("loihi2")),
        "chosen_by": "default",
    }
    assert (made_with["baseline"], made_with["events"]) == (None, None)
    text = said("--output", "a.txt", "--ignore", "PD105")
    lines = (folder / "a.txt").read_text().splitlines()
    assert lines[1] == "rules left out: PD105" and "rules left out" in text
    assert lines[2].split(maxsplit=1) == [
        "profile",
        "loihi2 of the library, the default, because the artifact has no profile",
    ]
    own = said("--profile", "mine.yaml", "--format", "sarif")
    (run,) = json.loads(own)["runs"]
    assert run["properties"]["madeWith"]["profile"]["source"] == "mine.yaml"
    compared = said("--baseline", "base.json", "--format", "junit")
    assert '<property name="baseline" value="base.json" />' in compared
    two = json.loads(said("--profile", "loihi2", "--profile", "mine.yaml", "--format", "sarif"))["runs"]
    assert [one["automationDetails"]["id"] for one in two] == [
        "pisnn-deploy/check/loihi2/",
        "pisnn-deploy/check/mine.yaml/",
    ]

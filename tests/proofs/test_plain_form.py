"""Plain forms of artifacts mean what the artifacts mean, and the extracted checker judges them as `verify` does."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mutants import ARTIFACTS, disagreement, judged
from proved import answers

from benchmarks.parts.plain_form import neuron_numbers, plain_form
from pisnn_deploy.graph.semantics import Semantics


@cache
def plain(name: str) -> str:
    return plain_form(ARTIFACTS[name](), "it")


def verdict(text: str) -> str:
    (line,) = answers("check", text)
    return line.removeprefix("it ")


@pytest.mark.parametrize("name", [name for name in ARTIFACTS if name != "Lava's processes"])
def test_artifacts_are_accepted_and_their_steps_are_those_of_the_reference(name: str) -> None:
    graph = ARTIFACTS[name]()
    masses = np.concatenate([each for holder in graph.holders for each in graph.population(holder).started().values()])
    *sent, verdict = answers("check", plain_form(graph, "it", masses.tolist()))
    assert verdict == "it accepted"
    semantics, numbers = Semantics(graph), neuron_numbers(graph)
    state = semantics.step(semantics.start(graph.initial), 0)
    ours = [
        int(line.split()[channels.output])
        for channels in graph.channels
        for line in sent[numbers[channels.population] :][: channels.source.size]
    ]
    assert any(ours) and ours == state.packets.tolist()


def test_lavas_own_processes_are_accepted() -> None:
    assert verdict(plain("Lava's processes")) == "accepted"


@pytest.mark.parametrize(
    ("name", "pattern", "change", "refused"),
    [
        ("line, reservoirs", r"(?m)^route -1 2 ", "route -1 4 ", "joined"),
        ("line, reservoirs", r"(?m)^route -1 2 ", "route -1 3 ", "adds"),
        ("line, reservoirs", r"(?m)^packet (\d+) (\d+)", r"packet \2 \1", "joined"),
        ("line, reservoirs", r"(?m)^program membrane\ndo add v1 v0", "program membrane\ndo sub v1 v0", "adds"),
        ("line, reservoirs", r"(?m)^width (\S+ \S+) \d+", r"width \1 6", "widths"),
        ("line, reservoirs", r"(?m)^start 0", "start 65", "starts"),
        ("line, reservoirs", r"(?m)^own -64 64", "own -63 64", "bounds of neuron 0"),
        ("line, reservoirs", r"(?m)^edge (\w+ \d+ \d+) \d+", r"edge \1 90000", "bounds of neuron 0"),
        ("line, reservoirs", r"(?m)^mass 0 131072", "mass 0 -1", "window"),
        ("Lava's processes", r"(?m)^cut .*\n", "", "bounds of neuron 0"),
        ("floor", r"(?m)^parameter 0", "parameter 4611686018427387904", "bounds of neuron"),
        ("hidden layer", r"(?m)^do asr (\S+) \d+", r"do asr \1 63", "bounds of neuron 0"),
    ],
)
def test_each_part_is_refused_where_it_is_wrong(name: str, pattern: str, change: str, refused: str) -> None:
    text = re.sub(pattern, change, plain(name), count=0 if "cut" in pattern or "edge" in pattern else 1)
    assert text != plain(name)
    assert verdict(text).startswith("refused: ") and refused in verdict(text)


@pytest.mark.parametrize("name", ["line, reservoirs", "floor"])
def test_mutants_are_judged_alike(name: str, tmp_path: Path) -> None:
    verdicts = [each for each in judged(name, 12, 3, tmp_path) if each.is_read]
    assert not [disagreement(each) for each in verdicts if disagreement(each)]
    assert sum(bool(each.refusals) for each in verdicts) > 5 and any(each.extracted for each in verdicts)

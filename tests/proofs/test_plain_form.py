"""Plain forms of artifacts mean what the artifacts mean, and the extracted checker judges them as `verify` does."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mutants import ARTIFACTS, Verdict, disagreement, judged, kernel_apart
from proved import answers

from benchmarks.parts.plain_form import neuron_numbers, plain_form
from pisnn_deploy.graph.semantics import Semantics


@cache
def plain(name: str) -> str:
    return plain_form(ARTIFACTS[name](), "it")


def answer(text: str) -> str:
    (line,) = answers("check", text)
    return line.removeprefix("it ")


@pytest.mark.parametrize("name", [name for name in ARTIFACTS if name != "Lava's processes"])
def test_artifacts_are_accepted_and_their_steps_are_those_of_the_reference(name: str) -> None:
    graph = ARTIFACTS[name]()
    masses = np.concatenate([each for holder in graph.holders for each in graph.population(holder).started().values()])
    start = graph.initial
    if name == "a table":  # whose smallest entries are alike
        start = masses = np.resize([graph.window.lower, graph.window.upper], masses.size)
    *sent, verdict = answers("check", plain_form(graph, "it", masses.tolist()))
    assert verdict == "it accepted"
    semantics, numbers = Semantics(graph), neuron_numbers(graph)
    state = semantics.step(semantics.start(start), 0)
    ours = [
        int(line.split()[channels.output])
        for channels in graph.channels
        for line in sent[numbers[channels.population] :][: channels.source.size]
    ]
    assert any(ours) and ours == state.packets.tolist()


def test_lavas_own_processes_are_accepted() -> None:
    assert answer(plain("Lava's processes")) == "accepted"


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
    assert answer(text).startswith("refused: ") and refused in answer(text)


@pytest.mark.parametrize("name", ["line, reservoirs", "floor", "a table", "runs of numbers"])
def test_mutants_are_judged_alike(name: str, tmp_path: Path) -> None:
    verdicts = [each for each in judged(name, 12, 3, tmp_path) if each.is_read]
    assert not [disagreement(each) for each in verdicts if disagreement(each)]
    assert not [kernel_apart(each) for each in verdicts if kernel_apart(each).startswith("unexplained")]
    assert sum(bool(each.refusals) for each in verdicts) > 5 and any(each.extracted for each in verdicts)
    assert any(each.kernel for each in verdicts) and any(not each.kernel for each in verdicts)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict("routes", "", True, {}, kernel="conservation: a packet", extracted="adds"), ""),
        (Verdict("names", "", True, {}), ""),
        (Verdict("routes", "", True, {}, kernel="conservation: a packet of flux [0]"), "unexplained, only the kernel"),
        (Verdict("routes", "", True, {}, extracted="joined"), "unexplained, only the extracted"),
        (
            Verdict("routes", "", True, {}, left=["the bound of flux drive"], extracted="joined"),
            "unexplained, only the",
        ),
        (
            Verdict("weights", "", True, {}, left=["the bound of flux drive"], extracted="bounds of neuron 3"),
            "left out",
        ),
        (Verdict("weights", "", True, {}, left=["stability"], extracted="bounds of neuron 3"), "unexplained"),
        (Verdict("bounds", "", True, {}, kernel="widths: flux payload ranges from"), "no part of a plain form"),
        (Verdict("bounds", "", True, {}, kernel="widths: flux drive ranges from 1"), "from a bound that is wider"),
        (Verdict("weights", "", True, {}, kernel="widths: flux drive ranges from 1"), "unexplained"),
        (Verdict("bounds", "", True, {"bounds": ""}, kernel="widths: flux drive ranges from 1"), "proved by the extr"),
        (Verdict("widths", "", True, {"bounds": ""}, kernel="widths: the bound of flux drive does"), "unexplained"),
    ],
)
def test_a_difference_between_kernel_and_extracted_checker_is_explained_or_not(verdict: Verdict, words: str) -> None:
    assert kernel_apart(verdict).startswith(words) and bool(kernel_apart(verdict)) == bool(words)

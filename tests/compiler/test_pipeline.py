"""The list of passes, its runner, and the search that runs parts of it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from models_under_test import heat_model

from pisnn_deploy.compiler import CompileOptions, GraphOptions, Lower, LowerTwoPoint, compile_model
from pisnn_deploy.compiler.facts import LOWERED, QUANTISED, Fact
from pisnn_deploy.compiler.options import ProcessKind
from pisnn_deploy.compiler.pipeline import LOWERING, PASSES, PLACING, asked
from pisnn_deploy.compiler.runner import Floating, run_passes
from pisnn_deploy.compiler.search import FEWEST_STATE_BITS, finest_that_fits
from pisnn_deploy.core.errors import CompileError, DoesNotFit, UsageError
from pisnn_deploy.graph import FloatGraph, PassRecord
from pisnn_deploy.mesh import parse_boundary
from pisnn_deploy.target import load_profile

LINE = Lower((16,), parse_boundary("periodic", 1))
LOIHI2 = load_profile("loihi2")
PLAIN = CompileOptions(LINE, LOIHI2)


def floating() -> FloatGraph:
    graph: FloatGraph = LINE(heat_model())
    return graph


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (PLAIN, "lower quantise schedule bound prove measure place"),
        (
            replace(PLAIN, graph=GraphOptions(limiter="positivity", placement="none")),
            "lower quantise limit schedule bound prove measure",
        ),
        (
            replace(PLAIN, graph=GraphOptions(processes="stock")),
            "lower stock quantise schedule bound prove measure place",
        ),
        (
            CompileOptions(LINE, load_profile("loihi1")),
            "lower quantise schedule bound encode prove measure place",
        ),
        (
            CompileOptions(LowerTwoPoint((16,), LINE.boundary, {}), LOIHI2),
            "lower-two-point quantise-two-point schedule bound prove measure place",
        ),
    ],
)
def test_passes_say_whether_they_are_asked_for(options: CompileOptions, names: str) -> None:
    assert " ".join(each.name for each in asked(PASSES, options, floating())) == names


def test_the_history_is_the_list_with_the_search_before_the_placement() -> None:
    seconds: dict[str, float] = {}
    graph = compile_model(heat_model(), PLAIN, seconds.__setitem__)
    names = [record.name for record in graph.history]
    assert names == ["lower", "quantise", "schedule", "bound", "prove", "measure", "search", "place"]
    assert set(seconds) == set(names) and min(seconds.values()) >= 0


@dataclass(frozen=True)
class Broken:
    """A pass that does not keep what it promises."""

    name: ClassVar[str] = "broken"
    requires: ClassVar[tuple[Fact, ...]] = ()
    ensures: ClassVar[tuple[Fact, ...]] = (LOWERED,)

    @classmethod
    def asked(cls, options: CompileOptions, floating: Floating | None) -> Broken:
        return cls()

    def __call__(self, subject: Any, /) -> Any:
        return None

    def summary(self, made: Any, /) -> str:
        return ""


def test_the_runner_looks_at_float_graphs_too() -> None:
    with pytest.raises(CompileError, match=r"^broken: ensures a graph that is lowered, but it is not$"):
        run_passes(heat_model(), [Broken()])
    (place,) = asked(PLACING, PLAIN)
    with pytest.raises(CompileError, match=r"^place: requires a graph that is proved, but it is not$"):
        run_passes(floating(), [place])


def test_what_is_run_is_recorded_and_timed() -> None:
    told: list[str] = []
    graph, records = run_passes(heat_model(), asked(LOWERING, PLAIN), lambda name, seconds: told.append(name))
    assert LOWERED.holds(graph) and not QUANTISED.holds(graph) and told == ["lower"]
    (record,) = records
    assert (record.name, record.options) == ("lower", "shape=16 boundary=periodic")
    assert record.text == "lower{shape=16 boundary=periodic}"
    assert PassRecord.read(record.text, record.summary) == record
    assert PassRecord.read("search", "a") == PassRecord("search", "", "a")


def test_a_width_that_does_not_fit_takes_a_coarser_quantum() -> None:
    fine = finest_that_fits(floating(), PLAIN).graph
    narrow = replace(PLAIN, profile=_with_payloads(fine.bits("flux", "packet") - 2))
    coarse = finest_that_fits(floating(), narrow)
    assert coarse.graph.quantum > fine.quantum
    assert [record.name for record in coarse.records].count("quantise") == 1
    assert int(coarse.records[0].options.partition("state-bits=")[2].split()[0]) < PLAIN.state_bits
    with pytest.raises(DoesNotFit):
        finest_that_fits(floating(), replace(PLAIN, profile=_with_payloads(2)))
    assert PLAIN.state_bits > FEWEST_STATE_BITS


def _with_payloads(bits: int) -> Any:
    payload = LOIHI2.payload
    figure = payload.bits.model_copy(update={"value": bits})
    return LOIHI2.model_copy(update={"payload": payload.model_copy(update={"bits": figure})})


@pytest.mark.parametrize("processes", ["c-lif", "stock"])
def test_stock_processes_are_for_cells_that_hold_alike(processes: ProcessKind) -> None:
    options = CompileOptions(LowerTwoPoint((16,), LINE.boundary, {}), LOIHI2, GraphOptions(processes=processes))
    if processes == "c-lif":
        assert [each.name for each in asked(LOWERING, options)] == ["lower-two-point"]
        return
    with pytest.raises(UsageError, match=r"^`processes` stock: cells that differ need levels of their own, "):
        asked(LOWERING, options)

"""Runs of laws: ledgers by side and source, starts, saved traces, recordings, pictures, datasets and refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from laws_compiled import compiled_law

from pisnn_deploy.api.artifact import CompiledArtifact
from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.graph.columns import columns_of, divergence
from pisnn_deploy.report.widths import width_uses
from pisnn_deploy.runs import run_graph, segments

CELLS = 16


@pytest.fixture
def dam(tmp_path: Path) -> Path:
    """An artifact of shallow water between two walls."""
    path = tmp_path / "dam.pisnn"
    write_artifact(path, compiled_law("shallow_water1d", (CELLS,)), {})
    return path


def simulate(*words: str | Path) -> Result:
    return CliRunner().invoke(group, ["simulate", *map(str, words), "--backend", "fast"])


def artifact(name: str = "shallow_water1d", shape: tuple[int, ...] = (CELLS,)) -> CompiledArtifact:
    return CompiledArtifact(compiled_law(name, shape), {})


def test_the_table_has_a_balance_for_each_set_of_fields_and_a_line_for_each_ledger(dam: Path) -> None:
    done = simulate(dam, "--steps", "9")
    assert done.exit_code == 0, done.output
    lines = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in done.output.splitlines() if "│" in line}
    run = artifact().simulate(9, backend="fast")
    left, right = (run.ledgers["q"][side] for side in ("left", "right"))
    assert lines["drift of h"] == lines["drift of q"] == "0 quanta"
    assert lines["ledger left of q"] == f"gave {-left.quanta} quanta, {-left.amount:.6g}"
    assert lines["ledger right of q"] == f"took {right.quanta} quanta, {right.amount:.6g}"
    assert lines["ledgers of q"] == f"reservoirs gave {-left.quanta - right.quanta} quanta"
    assert "ledgers of h" not in lines and "error of h" in lines and lines["reference"] == "exact solution stoker"


def test_ledgers_are_what_the_channels_brought_and_a_wall_pushes_with_the_pressure(dam: Path) -> None:
    run = artifact().simulate(9, backend="fast")
    graph, trace = run.graph, run.run.trace
    (field,) = (field for field in columns_of(graph).fields if field.ledgers)
    gained = divergence(graph, trace.transported[-1])[field.held_reservoirs]
    for name, reservoirs in field.ledgers.items():
        entry = run.ledgers["q"][name]
        assert entry.quanta == int(gained[reservoirs].sum())
        assert entry.amount == entry.quanta * field.field.quantum
    # A wall takes g h^2 / 2 of momentum in a unit of time while the water at it rests: 2 at the left, 1/2 at the right.
    assert run.ledgers["q"]["left"].amount == pytest.approx(-2 * run.times[-1], rel=1e-3)
    assert run.ledgers["q"]["right"].amount == pytest.approx(run.times[-1] / 2, rel=1e-3)


def test_json_has_fields_balances_ledgers_and_errors(dam: Path) -> None:
    result = json.loads(simulate(dam, "--steps", "9", "--json").stdout)
    assert result["mass"] is None and [b["fields"] for b in result["balances"]] == [["h"], ["q"]]
    assert all(balance["drift"] == balance["rows_adrift"] == 0 for balance in result["balances"])
    assert [(f["name"], f["unit"], f["reservoirs"]) for f in result["fields"]] == [("h", "m", 0), ("q", "m^2/s", 2)]
    assert set(result["ledgers"]["q"]) == {"left", "right"}
    assert set(result["error"]["fields"]) == {"h", "q"} and result["error"]["reference"] == "exact solution stoker"


def test_one_field_has_the_old_mass_beside_its_ledgers() -> None:
    run = artifact("advection_diffusion2d", (6, 6)).simulate(4, backend="fast")
    result = run.to_dict()
    (balance,) = result["balances"]
    assert result["mass"] == {name: value for name, value in balance.items() if name != "fields"}
    assert set(result["ledgers"]["u"]) == {"left", "right", "bottom", "top"}
    assert result["mass"]["ledger"] == sum(entry["quanta"] for entry in result["ledgers"]["u"].values())


def test_sources_have_ledgers_of_their_own_and_an_exchange_joins_two_fields() -> None:
    run = artifact("gray_scott2d", (8, 8)).simulate(5, backend="fast")
    assert run.ledgers["u"].keys() == {"feed"} and run.ledgers["v"].keys() == {"kill"}
    assert run.ledgers["u"]["feed"].quanta < 0 < run.ledgers["v"]["kill"].quanta
    (balance,) = run.run.verdict.balances
    assert balance.fields == ("u", "v") and balance.holds and run.drift == 0


def test_a_saved_trace_says_what_its_columns_are(dam: Path, tmp_path: Path) -> None:
    assert simulate(dam, "--steps", "9", "--save", tmp_path / "t.npz", "--every", "3").exit_code == 0
    with np.load(tmp_path / "t.npz") as saved:
        meta = json.loads(saved["meta"].tobytes())
        arrays = dict(saved)
    run = artifact().simulate(9, backend="fast", every=3)
    assert arrays["mass"].shape == (4, 2, CELLS) and np.array_equal(arrays["mass"], run.mass)
    assert [field["name"] for field in meta["fields"]] == ["h", "q"]
    first, last = meta["fields"][1]["reservoirs"]
    assert arrays["ledger"][-1, first:last].tolist() == [gain.quanta for gain in run.ledgers["q"].values()]
    assert meta["ledgers"] == {"q": {name: gain.quanta for name, gain in run.ledgers["q"].items()}}
    spans = [channels["columns"] for channels in meta["channels"]]
    assert [spans[0][0], spans[-1][1]] == [0, arrays["transported"].shape[1]] and spans[0][1] == spans[1][0]


def test_a_killed_run_goes_on_to_the_same_bytes(dam: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "FIRST_SEGMENT", 4)
    assert simulate(dam, "--steps", "12", "--save", tmp_path / "whole.npz").exit_code == 0
    stopped = tmp_path / "stopped.npz"

    def killed(backend: str, *words: Any) -> object:
        if words[2].until == 12:
            raise KeyboardInterrupt
        return run_graph(backend, *words)

    monkeypatch.setattr(segments, "run_graph", killed)
    assert simulate(dam, "--steps", "12", "--save", stopped).exit_code != 0
    monkeypatch.setattr(segments, "run_graph", run_graph)
    done = simulate(dam, "--steps", "12", "--save", stopped, "--resume")
    assert done.exit_code == 0 and "nothing is recorded" not in done.output, done.output
    assert stopped.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_starts_are_arrays_of_all_fields_by_name_or_in_their_order(dam: Path, tmp_path: Path) -> None:
    still = {"h": np.full(CELLS, 1.5), "q": np.zeros(CELLS)}
    by_name = artifact().simulate(3, initial=still, backend="fast")
    in_order = artifact().simulate(3, initial=np.stack([still["h"], still["q"]]), backend="fast")
    assert np.array_equal(by_name.mass, in_order.mass) and np.ptp(by_name.fields["h"]) == 0
    np.save(tmp_path / "u.npy", np.stack([still["h"], still["q"]]))
    assert simulate(dam, "--steps", "3", "--initial", tmp_path / "u.npy").exit_code == 0
    for wrong, sentence in (
        ({"h": still["h"]}, "`initial`: has the fields h, the graph h, q"),
        (still["h"], f"`initial`: has shape ({CELLS},), the fields have (2, {CELLS})"),
        (
            {**still, "q": np.full(CELLS, 9.0)},
            "initial: cell 0 of q has the value 9, outside the operating range -0.5 to 1.5; change the range in the "
            "recipe to widen it",
        ),
    ):
        with pytest.raises(UsageError) as refused:
            artifact().simulate(3, initial=wrong, backend="fast")
        assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--initial", "sine"], "sine: a law has no named initial conditions; give a field, such as a .npy file"),
        (
            ["--fault", "drop:packet[3]@2"],
            "fault 'drop:packet[3]@2': several populations have a packet; write packet[h-flux,3], or another of "
            "h-flux, q-flux",
        ),
    ],
)
def test_what_runs_of_laws_lack_is_refused_in_a_line(dam: Path, options: list[str], sentence: str) -> None:
    done = simulate(dam, "--steps", "3", *options)
    assert isinstance(done.exception, UsageError) and str(done.exception) == sentence


def test_faults_of_a_law_are_told_and_healed(dam: Path) -> None:
    faults = ("--fault", "drop:packet[q-flux,3]@2", "--fault", "flip:q-flux.residue[1].bit2@4")
    done = simulate(dam, "--steps", "8", *faults, "--recover", "--json")
    first, second = json.loads(done.stdout)["faults"]
    assert (first["kind"], first["step"], first["place"], first["healed"]) == ("local", 3, "q [3]", True)
    assert (second["kind"], second["step"], second["place"], second["healed"]) == ("flux", 4, "q-flux [1]", True)


def test_pictures_have_two_panels_a_field(dam: Path, tmp_path: Path) -> None:
    from pisnn_deploy.report.picture import figure_of_run

    run = artifact().simulate(9, backend="fast")
    titles = [axes.get_title(loc="left") for axes in figure_of_run(run.graph, run.run, run.reference).axes]
    assert [title for title in titles if title] == [
        "(a) h: cell values in space and time",
        "(b) h: profile at the end",
        "(c) q: cell values in space and time",
        "(d) q: profile at the end",
        "(e) packets in flight",
        "(f) mass balance of 2 sets of fields, ledgers included",
    ]


@pytest.mark.parametrize(("name", "shape"), [("shallow_water1d", (CELLS,)), ("gray_scott2d", (8, 8))])
def test_reports_draw_every_field_and_list_ledgers(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    run = artifact(name, shape).simulate(6, backend="fast", everything=True)
    run.report(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    rows = {}
    for number, field in enumerate(run.graph.fields):
        suffix = f"-{number}" if number else ""
        (text,) = re.findall(f'id="frames{suffix}" data-suffix="{suffix}">(.*?)</script>', page)
        rows[field.name] = json.loads(text)["steps"]
        assert f"<h3>{field.name}</h3>" in page and f'id="levels{suffix}"' in page
    assert len({tuple(steps) for steps in rows.values()}) == 1
    for field_name, gains in run.ledgers.items():
        for ledger, gain in gains.items():
            assert f"{ledger} <small>{field_name}</small></th><td>{gain.quanta:,}</td>" in page
    for balance in run.run.verdict.balances:
        assert f"{balance.initial:,}" in page
    assert "Relative L2 error over time" in page or run.graph.spec.name == "gray_scott2d"


def test_widths_of_laws_are_reached_in_the_run() -> None:
    run = artifact().simulate(6, backend="fast", everything=True)
    uses = {(use.population, use.quantity): use for use in width_uses(run.graph, run.run).uses}
    for key in (("h", "mass"), ("q", "ledger"), ("h-flux", "packet"), ("q-flux", "current"), ("face-x-1", "payload")):
        reached, proved = uses[key].reached, uses[key].proved
        assert reached is not None and proved[0] <= reached[0] <= reached[1] <= proved[1], key
    assert uses["h", "mass"].reached == (int(run.mass[:, 0].min()), int(run.mass[:, 0].max()))


def test_artifacts_and_runs_describe_themselves() -> None:
    assert "quantum: 2.38419e-06 of h, 2.38419e-06 of q" in repr(artifact())
    run = artifact().simulate(3, backend="fast")
    assert "verdict: conserved" in repr(run) and "<table>" in run._repr_html_()


def test_datasets_have_a_variable_a_field() -> None:
    run = artifact().simulate(9, backend="fast")
    data = run.to_xarray()
    assert np.array_equal(data["h"], run.fields["h"]) and data["q"].attrs["units"] == "m^2/s"
    assert np.array_equal(data["q_mass"], run.mass[:, 1]) and "h_ledger" not in data
    assert data["x"].values[[0, -1]].tolist() == [-2.5 + 5 / 32, 2.5 - 5 / 32]  # from the domain's origin
    assert data["q_ledger_name"].values.tolist() == ["left", "right"]
    assert int(data["q_ledger"][-1, 0]) == run.ledgers["q"]["left"].quanta
    assert (
        data["transported_h-flux"].shape[1] + data["transported_q-flux"].shape[1] == run.run.trace.transported.shape[1]
    )

"""Report of a run: one self-contained HTML page that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from pisnn_deploy.core.output import write_whole
from pisnn_deploy.core.printable import json_text, printable_lines
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import warnings_in
from pisnn_deploy.graph.contract import is_of_one_field
from pisnn_deploy.graph.kinds import face_of
from pisnn_deploy.report.accuracy_picture import draw_waterfall, waterfall_of
from pisnn_deploy.report.core_picture import core_map, core_uses
from pisnn_deploy.report.flows import draw_ledgers, draw_spikes
from pisnn_deploy.report.frames import (
    MOST_FRAMES,
    Field,
    Frames,
    Reference,
    describe,
    evenly,
    frames_of,
    packed_vertices,
)
from pisnn_deploy.report.graph_text import placement_sentence
from pisnn_deploy.report.measures import measure_run
from pisnn_deploy.report.panels import draw_balance, draw_error, draw_packets
from pisnn_deploy.report.svg import Chart, chart, colour_table, map_frame, profile_frame, space_time_frame
from pisnn_deploy.report.widths import width_uses
from pisnn_deploy.runs.plausibility import Plausibility, plausibility
from pisnn_deploy.runs.run import Run
from pisnn_deploy.target import names as profile_names

LARGEST_PAGE = 3_000_000
"""Maximum size of a page in bytes, ensured by `frames.MOST_BYTES` and the limits below."""
MOST_ROWS = MOST_FRAMES
"""Maximum number of kept steps in charts over time: those of the animation, whose references are known."""
REMEMBERED = 1 << 22
"""Maximum number of cached reference values."""
MOST_NUMBERS = 1 << 23
"""Maximum number of integers of the trace that charts use."""
MOST_LINES = 64
"""Maximum number of lines of a table whose length depends on a file."""
MOST_CHARACTERS = 2000
"""Maximum length of a text from a file."""
_CHART_HEIGHT, _RASTER_HEIGHT = 2.7, 3.4
_PAGE = files("pisnn_deploy.report") / "page"


@dataclass(frozen=True)
class Report:
    """Content of a report.

    Attributes
    ----------
    result : mapping
        JSON object of ``simulate``; the page shows its numbers and includes it as a whole.
    reference : callable or None
        Exact cell values, float64 [cells], at a physical time.
    sha256 : str
        Hash of the artifact.
    provenance : mapping
        Provenance of the artifact: model, hash of the model, options, versions.
    command : str
        Command line of the run.
    versions : mapping of str to str
        Versions of the packages that were used.
    plausible : Plausibility or None
        Judgement of the run; None to make it from the trace alone.
    circuit : mapping of str to str
        Figures of the graph on an FPGA, with its name under ``part``; empty for none.
    """

    graph: IntegerGraph
    run: Run
    result: Mapping[str, Any]
    reference: Reference | None = None
    sha256: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    plausible: Plausibility | None = None
    circuit: Mapping[str, str] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> None:
    """Write the report of a run.

    Parameters
    ----------
    path : Path
        An ``.html`` file, written atomically.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    write_whole(path, page_bytes(report))


def page_bytes(report: Report) -> bytes:
    """Render the report as one HTML page.

    Returns
    -------
    bytes
        UTF-8, at most `LARGEST_PAGE` bytes, reproducible byte for byte.
    """
    graph, run, trace = report.graph, report.run, report.run.trace
    if report.reference is not None:
        room = REMEMBERED // graph.mesh.cells
        report = replace(report, reference=lru_cache(maxsize=room)(report.reference))
    script = _text("report.js")
    frames = frames_of(graph, trace, report.reference) if trace.step.size else None
    most = max(2, min(MOST_ROWS, MOST_NUMBERS // trace.columns.holders))
    rows = evenly(trace.step.size, most) if frames else None
    context: dict[str, Any] = {
        "graph": graph,
        "face": face_of(graph) if is_of_one_field(graph) else None,
        "balances": [report.result["mass"]] if report.result["mass"] else report.result["balances"],
        "ledgers": _ledgers(run),
        "run": run,
        "result": report.result,
        "plausible": report.plausible or plausibility(graph, run),
        "cautions": warnings_in(report.provenance),
        "is_of_library": graph.profile in profile_names(),
        "printed": json_text(report.result),
        "sha256": report.sha256,
        "provenance": report.provenance,
        "command": report.command,
        "versions": report.versions,
        "events": _events(graph, report.result),
        "accuracy": _accuracy(report),
        "widths": width_uses(graph, run),
        "core_uses": core_uses(graph),
        "core_map": _base64(core_map(graph)),
        "placement": None if graph.placement is None else placement_sentence(graph, graph.placement),
        "circuit": report.circuit,
        "claims": {} if graph.certificate is None else graph.certificate.claims,
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": _text("report.css"),
        "shown_rows": 0 if rows is None else rows.size,
        **(_animated(report, frames) if frames is not None else {}),
        **(_charts(report, replace(run, trace=trace.at(rows))) if rows is not None else {}),
    }
    return _environment().get_template("report.html").render(context).encode()


def _accuracy(report: Report) -> dict[str, Any] | None:
    """Waterfall of ``compile --explain``; None where the artifact was compiled without it."""
    waterfall = waterfall_of(report.provenance.get("accuracy"))
    if waterfall is None:
        return None
    picture = chart("accuracy", waterfall.height, partial(draw_waterfall, waterfall=waterfall))
    return {"of": waterfall, "chart": None if waterfall.problem else _placed(picture)}


def _text(name: str) -> str:
    return (_PAGE / name).read_text("utf-8")


def _environment() -> jinja2.Environment:
    """Create the template environment, which escapes everything: names and messages come from untrusted files."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": _short, "count": _count, "figure": _figure}
    environment.globals |= {"most_lines": MOST_LINES}
    return environment


def _printable(value: object) -> object:
    """Escape text for the page, but keep markup such as charts."""
    return printable_lines(value) if type(value) is str else value


def _short(text: object) -> str:
    """Shorten a text from a file to `MOST_CHARACTERS`."""
    whole = str(text)
    return whole if len(whole) <= MOST_CHARACTERS else f"{whole[:MOST_CHARACTERS]} … ({len(whole):,} characters)"


def _count(number: int) -> str:
    """Format an integer with all its digits."""
    return f"{number:,}"


def _figure(number: float) -> str:
    """Format an integer with all its digits, other numbers with nine."""
    return _count(number) if isinstance(number, int) else f"{number:.9g}"


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _events(graph: IntegerGraph, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Number of events by population, in total and per neuron and PDE step."""
    counted: Mapping[str, int] = result["events"] or {}
    most = max(counted.values(), default=0)
    return [
        {
            "population": name,
            "neurons": graph.size(name),
            "events": count,
            "rate": count / (graph.size(name) * result["steps"]) if result["steps"] else 0.0,
            "share": count / most if most else 0.0,
        }
        for name, count in counted.items()
    ]


def _ledgers(run: Run) -> list[dict[str, Any]]:
    """What each ledger took or gave."""
    return [
        {"field": field, "name": name, "quanta": gain.quanta, "amount": gain.amount}
        for field, gains in run.ledgers().items()
        for name, gain in gains.items()
    ]


def _animated(report: Report, fields: tuple[Frames, ...]) -> dict[str, Any]:
    """Frames of all fields, and the axes in which the page's script draws them."""
    players = [_player(report, frames, f"-{number}" if number else "") for number, frames in enumerate(fields)]
    return {"frames": fields[0], "players": players, "vertices": _base64(packed_vertices(fields[0].shown))}


def _player(report: Report, frames: Frames, suffix: str) -> dict[str, Any]:
    """Frames of a field, whose elements on the page have names with a suffix."""
    graph, trace = report.graph, report.run.trace
    described = describe(graph, trace, frames) | {"colours": colour_table()}
    pictures: dict[str, Chart] = {}
    across, up = (f"{axis} (units of length)" for axis in (frames.shown.axes[0], frames.shown.axes[-1]))
    if frames.shown.kind == "line":
        first, last = int(trace.step[0]), max(int(trace.step[-1]), int(trace.step[0]) + 1)
        times = first * graph.time_step, last * graph.time_step
        pictures = {
            "profile": profile_frame(frames, across, suffix),
            "space-time": space_time_frame(frames, times, across, suffix),
        }
    else:
        pictures = {"map": map_frame(frames, (across, up), suffix)}
        if frames.shown.profile is not None:
            pictures["profile"] = profile_frame(frames, up, suffix)
    described["limits"] = {name: list(picture.limits) for name, picture in pictures.items()}
    return {
        "frames": frames,
        "suffix": suffix,
        "field": frames.columns.name,
        "described": described,
        "levels": _base64(frames.levels.data),
        "exact": None if frames.exact is None else _base64(frames.exact.data),
        "pictures": {name: _placed(picture) for name, picture in pictures.items()},
        "notes": frames.notes,
    }


def _placed(picture: Chart) -> dict[str, Any]:
    left, top, width, height = picture.box
    place = f"left:{left:.4f}%;top:{top:.4f}%;width:{width:.4f}%;height:{height:.4f}%"
    return {"svg": picture.svg, "place": place, "from": picture.limits[0], "to": picture.limits[1]}


def _charts(report: Report, thinned: Run) -> dict[str, Any]:
    """Charts over time, of selected kept steps."""
    graph, trace = report.graph, thinned.trace
    times: Field = np.asarray(trace.step * graph.time_step, np.float64)
    known = report.reference or (lambda time: None)
    measured = measure_run(graph, thinned, known)
    drawn = {
        "balance": chart("balance", _CHART_HEIGHT, partial(draw_balance, graph=graph, times=times, run=thinned)),
        "packets": chart("packets", _CHART_HEIGHT, partial(draw_packets, graph=graph, times=times, run=thinned)),
    }
    if trace.step.size > 1 and trace.columns.size:
        drawn["spikes"] = chart("spikes", _RASTER_HEIGHT, partial(draw_spikes, graph=graph, times=times, run=thinned))
    if trace.columns.reservoirs:
        drawn["ledgers"] = chart("ledgers", _CHART_HEIGHT, partial(draw_ledgers, graph=graph, times=times, run=thinned))
    if np.isfinite(measured.relative_l2).any():
        draw = partial(draw_error, graph=graph, times=times, run=thinned, errors=measured.errors)
        drawn["error"] = chart("error", _CHART_HEIGHT, draw)
    return {
        "charts": {name: _placed(picture) for name, picture in drawn.items()},
        "largest_drift": max(map(abs, measured.drift.tolist())),
        "largest_residual": int(measured.residual.max()),
        "overshoot": int(measured.overshoot.max()),
    }

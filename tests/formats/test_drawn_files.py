"""Random valid files of all three formats: read as their own runtimes answer them, or refused.

``PISNN_CASES`` is how many of each format are drawn; ``pytest -s`` shows what became of them.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from drawn_networks import drawn_blocks, drawn_graph
from numpy.typing import NDArray
from onnx_drawn import drawn_line, drawn_model
from onnxruntime.capi import onnxruntime_pybind11_state

from fuzz.flux_files import tree_of
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.comparison import compared, fluxes_of
from pisnn_deploy.formats.netx.reader import read_netx
from pisnn_deploy.formats.nir.reader import read_nir
from pisnn_deploy.formats.onnx.reader import read_onnx
from pisnn_deploy.formats.reading import Network, Request
from pisnn_deploy.formats.windows import Limits

CASES = int(os.environ.get("PISNN_CASES", "60"))
PATH = Path("drawn")
WINDOWS = 24

Floats = NDArray[np.float64]


def fields(rng: np.random.Generator, request: Request, cells: int) -> Floats:
    """Windows of the operating range, drawn without help of the reader."""
    lower, upper = request.limits or (0.0, 1.0)
    if request.slope is None:
        drawn = rng.uniform(lower, upper, (WINDOWS, cells))
        drawn[:4] = rng.choice([lower, upper], (4, cells))
        return drawn
    step = request.slope / 64
    walk = rng.uniform(lower, upper, (WINDOWS, 1)) + np.cumsum(rng.choice([-step, step], (WINDOWS, cells)), axis=1)
    return np.asarray(np.clip(walk, lower, upper))


def request(rng: np.random.Generator) -> Request:
    lower = float(rng.choice([0.0, -0.5, -2.0]))
    slope = float(rng.choice([5.0, 20.0])) if rng.random() < 0.5 else None
    # A slope of the problem's own is none where the mesh is not known.
    return Request("heat1d", limits=(lower, lower + 2.5), shape=(64,), slope=slope, is_grid=slope is not None)


@dataclass
class Tally:
    """What became of the files of one format."""

    counts: Counter[str] = field(default_factory=Counter)
    tightest: float = 0.0

    def read(self, reader: Callable[[], Network]) -> Network | None:
        """A network, or None if it was refused in one line."""
        try:
            return reader()
        except FileError as error:
            assert "\n" not in str(error)
            reason = str(error).rsplit(": ", maxsplit=1)[-1].split(",")[0].split(" of ")[0]
            self.counts[f"refused ({reason})"] += 1
            return None

    def compare(self, seed: int, network: Network, windows: Floats, answers: Floats) -> None:
        """Answers must be those of the network that was read, as far as it says that it leaves rounding out."""
        assert network.oracle is not None
        difference, allowed = float(np.abs(answers - fluxes_of(network.layers, windows)).max()), network.oracle.rounding
        assert difference <= allowed, (seed, difference, allowed)
        if any("rounding" in note for note in network.notes):
            self.tightest = max(self.tightest, difference / allowed if allowed else 0.0)
            self.counts["read, rounding left out"] += 1
        else:
            assert difference <= 1e-5 * size(network, windows), (seed, difference)
            self.counts["read, nothing left out"] += 1
        self.counts["limits reached and kept"] += bool(network.clips)

    def told(self, name: str, drawn: int, least: float) -> None:
        """Show the counts; most files must be read, else nothing is tried."""
        rest = ", ".join(f"{count} {what}" for what, count in self.counts.most_common())
        sys.stdout.write(f"\n{name}: {drawn} drawn, {rest}; rounding at most {self.tightest:.2f} of what is allowed\n")
        assert self.counts["read, rounding left out"] + self.counts["read, nothing left out"] > least * drawn


def session_of(content: bytes) -> Any:
    """The file as onnxruntime has it; None where it has no code for a type."""
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except onnxruntime_pybind11_state.NotImplemented:
        return None


def covered(network: Network, windows: Floats) -> Floats:
    """Cell values that the file does not clip on their way in, as 32-bit floats."""
    assert network.oracle is not None
    return np.asarray(np.clip(windows, *network.oracle.covered).astype(np.float32).astype(np.float64))


def test_windows_of_onnx_are_read_as_onnxruntime_answers_them() -> None:
    tally = Tally()
    for seed in range(CASES):
        rng = np.random.default_rng([seed, 1])
        (model, shape), asked = drawn_model(seed), request(rng)
        content = model.SerializeToString()
        session = session_of(content)
        if session is None:
            tally.counts["of types that onnxruntime has no code for"] += 1
            continue
        network = tally.read(lambda content=content, asked=asked: read_onnx(PATH, content, asked))  # type: ignore[misc]
        if network is not None:
            windows = covered(network, fields(rng, asked, int(np.prod(shape))))
            rows = windows.astype(np.float32).reshape(-1, *shape)
            answers = np.array([session.run(None, {"u": row})[0] for row in rows])
            tally.compare(seed, network, windows, answers.reshape(-1))
    tally.told("onnx, windows", CASES, 0.6)
    # The allowance is no larger than what happens.
    assert 0.3 < tally.tightest <= 1


def test_lines_of_onnx_are_read_as_onnxruntime_answers_them() -> None:
    tally = Tally()
    cells = 16
    for seed in range(CASES // 3):
        rng = np.random.default_rng([seed, 3])
        (model, place), asked = drawn_line(seed), request(rng)
        content = model.SerializeToString()
        session = session_of(content)
        if session is None:
            tally.counts["of types that onnxruntime has no code for"] += 1
            continue
        network = tally.read(lambda content=content, asked=asked: read_onnx(PATH, content, asked))  # type: ignore[misc]
        if network is not None:
            lines = covered(network, fields(rng, asked, cells))
            (answers,) = session.run(None, {"u": lines[:, None].astype(np.float32)})
            windows = np.lib.stride_tricks.sliding_window_view(lines, network.window[0], axis=1)
            inner = answers[:, 0, place : place + windows.shape[1]]
            tally.compare(seed, network, windows.reshape(-1, network.window[0]), inner.reshape(-1))
    tally.told("onnx, lines", CASES // 3, 0.6)


def test_graphs_of_nir_are_read_as_torch_answers_them() -> None:
    tally = Tally()
    count = max(CASES // 3, 12)
    for seed in range(count):
        rng = np.random.default_rng([seed, 6])
        drawn, asked = drawn_graph(seed), request(rng)
        network = tally.read(lambda drawn=drawn, asked=asked: read_nir(PATH, tree_of(drawn.data), asked))  # type: ignore[misc]
        if network is None:
            continue
        rows = fields(rng, asked, int(np.prod(drawn.shape)))
        answers = np.array([drawn.answers(row) for row in rows])
        windows = rows
        if drawn.place is not None:
            windows = np.lib.stride_tricks.sliding_window_view(rows, network.window[0], axis=1)
            answers = answers[:, drawn.place : drawn.place + windows.shape[1]]
        tally.compare(seed, network, windows.reshape(-1, network.window[0]), answers.reshape(-1))
        assert compared(PATH, network, Limits(0.0, 1.0)) == []
    tally.told("nir", count, 0.9)


def test_blocks_of_lava_dl_are_read_as_their_forward_answers() -> None:
    tally = Tally()
    count = max(CASES // 3, 12)
    for seed in range(count):
        rng = np.random.default_rng([seed, 8])
        drawn = drawn_blocks(seed)
        asked = Request("heat1d", limits=(-2.0, 2.0))
        network = tally.read(lambda drawn=drawn, asked=asked: read_netx(PATH, tree_of(drawn.data), asked))  # type: ignore[misc]
        if network is None:
            continue
        windows = rng.integers(-64, 65, (WINDOWS, network.window[0])) / 32
        expected = fluxes_of(network.layers, windows)
        if drawn.spikes:
            # Spikes have no sign: the flux against the axis is that of C-LIF alone.
            windows = np.where(expected[:, None] < 0, -windows, windows)
            expected = np.abs(expected)
        answers = drawn.answers(windows)
        assert np.abs(answers - expected).max() <= drawn.rounding, (seed, answers, expected)
        tally.counts["read, nothing left out"] += 1
        tally.counts["of graded spikes"] += drawn.spikes
        tally.counts["with a norm"] += any("weight_exp" in note for note in network.notes)
        tally.counts["with hidden layers"] += len(network.layers) > 1
    tally.told("netx", count, 0.7)


def size(network: Network, windows: Floats) -> float:
    """How large the numbers become on the way: a bound of what a network adds up."""
    values = np.abs(windows)
    for layer in network.layers:
        values = values @ np.abs(layer.weight).T + np.abs(layer.bias)
    return float(values.max())

"""What the page shows of a run: a description of the graph once, and a scene after each few PDE steps."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.printable import printable
from pisnn_deploy.graph.columns import FieldColumns, columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.live.history import History
from pisnn_deploy.live.session import Session
from pisnn_deploy.mesh import View
from pisnn_deploy.report.places import view_of
from pisnn_deploy.report.widths import Interval, width_uses
from pisnn_deploy.runs.run import Integers, Run, trace_of
from pisnn_deploy.runs.verdict import Balance, balance_of, exact_sums

MOST_CELLS = 1 << 14
MOST_SPIKES = 192
"""Rows of the raster; several channels share a row if there are more."""
_REST = 10
"""Times as long as the last look at widths took until the next."""
Key = tuple[str, str]


@dataclass(frozen=True)
class Scene:
    """State of a run as the page shows it; nothing in it changes.

    Attributes
    ----------
    values : mapping of str to float32 array [drawn]
        Cell averages of each field, at the drawn cells.
    figures : mapping
        Everything else, as data for JSON.
    """

    values: dict[str, NDArray[np.float32]]
    figures: dict[str, Any]

    def document(self, name: str) -> dict[str, Any]:
        """Scene with the values of one field, as data for JSON.

        Parameters
        ----------
        name : str
            Name of the field (unknown: the first).
        """
        shown = name if name in self.values else next(iter(self.values))
        return self.figures | {"field": shown, "values": _base64(self.values[shown].astype("<f4"))}


def described(graph: IntegerGraph, view: View, last_step: int) -> dict[str, Any]:
    """What never changes during a run, as data for JSON."""
    notes = []
    if view.plane is not None:
        axis, number, count = view.plane
        notes.append(f"The map shows the middle plane, number {number} of {count} normal to {axis}.")
    if view.stride > 1:
        notes.append(f"One of every {view.stride} cells is drawn.")
    if view.seen_along:
        notes.append(f"Dots are centres of cells, seen along {view.seen_along}.")
    columns = columns_of(graph)
    ends = view.extent
    vertices = None if view.vertices is None else _base64(view.vertices.astype("<f4"))
    return {
        "model": printable(graph.spec.name),
        "cells": graph.mesh.cells,
        "neurons": graph.neurons,
        "profile": printable(graph.profile),
        "time_step": graph.time_step,
        "last_step": last_step,
        "kind": view.kind,
        "shape": list(view.shape),
        "extent": list(ends),
        "axes": list(view.axes),
        "vertices": vertices,
        "indices": _base64(view.cells.astype("<i4")),
        "notes": notes,
        "fields": [{"name": field.name, "unit": field.field.unit or ""} for field in columns.fields],
        "channels": [{"population": each.population, "count": each.count} for each in columns.channels],
        "raster": min(MOST_SPIKES, columns.size),
        "bounds": [[bound.population, bound.quantity, bound.bits, bound.lower, bound.upper] for bound in graph.bounds],
    }


def _offered(graph: IntegerGraph, channel: int) -> list[dict[str, str]]:
    """Faults that the page offers, without their PDE step, in places that the graph has.

    Parameters
    ----------
    channel : int
        Channel to hit, in arrays of channels.
    """
    columns = columns_of(graph)
    sender = next(each for each in columns.channels if channel < each.part.stop)
    part = columns.fields[0]
    cell = f"{part.holder},{part.field.cells // 2}" if len(columns.fields) > 1 else str(part.field.cells // 2)
    where = f"{sender.population},{channel - sender.first}" if len(columns.channels) > 1 else str(channel)
    offered = {
        "Flip a bit of a membrane": f"flip:membrane[{cell}].bit5",
        "Flip a bit of a residue": f"flip:residue[{where}].bit3",
        "Lose a packet at its target": f"drop:packet[{where}].target",
        "Deliver a packet twice": f"duplicate:packet[{where}].target",
        "Delay a packet": f"delay:packet[{where}].target+2",
        "Send a packet elsewhere": f"misroute:packet[{where}]->0",
    }
    if graph.placement is not None:
        offered["Freeze a core"] = "dead:core[0]"
    return [{"name": name, "spec": text} for name, text in offered.items()]


@dataclass
class Observer:
    """Makes scenes of a session, and keeps what has been seen since the start.

    Attributes
    ----------
    reached : dict of (str, str) to (int, int)
        Smallest and largest integer seen, by population and quantity.
    """

    session: Session
    history: History = field(default_factory=History)
    reached: dict[Key, Interval] = field(default_factory=dict)
    _limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    _rested: float = 0.0
    _counted: tuple[int, dict[str, int]] = (0, {})
    _rates: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view = view_of(self.session.graph, MOST_CELLS)

    def forget(self) -> None:
        """Begin again with a session that was reset."""
        self.history, self.reached, self._limits = History(), {}, {}
        self._counted, self._rates, self._rested = (0, {}), {}, 0.0

    def scene(self) -> Scene:
        """Look at the session."""
        session = self.session
        graph, now = session.graph, session.now
        columns = columns_of(graph)
        cells, reservoirs = columns.split(now.mass)
        values = {part.name: self._drawn(part, cells) for part in columns.fields}
        balances = self._balances()
        self._look_at_widths()
        rates = self._spikes_per_step()
        packets = session.now.transported - session.before.transported
        changes = [[float(b.final - b.initial), float(b.ledger), float(b.drift)] for b in balances]
        self.history.add([float(now.step), *changes[0], float(now.in_flight), sum(rates.values())])
        return Scene(
            values,
            {
                "step": now.step,
                "time": now.step * graph.time_step,
                "verdict": "violated" if session.violation or any(b.drift for b in balances) else "conserved",
                "failure": str(session.violation or ""),
                "has_ended": session.has_ended,
                "limits": self._limits | {},
                "balances": [{"fields": list(b.fields)} | _texts(b) for b in balances],
                "ledgers": self._ledgers(reservoirs),
                "in_flight": now.in_flight,
                "events": dict(now.events),
                "rates": rates,
                "spikes": _base64(_raster(packets)),
                "offered": _offered(graph, _busiest(graph, packets)),
                "widths": [[*key, *interval] for key, interval in self.reached.items()],
                "faults": [vars(outcome) for outcome in session.outcomes],
                "history": [list(point) for point in self.history.points],
            },
        )

    def _drawn(self, part: FieldColumns, cells: Integers) -> NDArray[np.float32]:
        values = np.asarray(part.field.values(cells[part.cells])[self.view.cells], np.float32)
        low, high = float(values.min()), float(values.max())
        lowest, highest = self._limits.get(part.name, (low, high))
        self._limits[part.name] = min(low, lowest), max(high, highest)
        return values

    def _balances(self) -> tuple[Balance, ...]:
        session = self.session
        columns, step = columns_of(session.graph), np.array([0, session.now.step])
        both = np.stack([session.start.mass, session.now.mass])
        return tuple(
            balance_of(
                tuple(part.name for part in parts),
                step,
                [both[:, part.held_cells] for part in parts],
                [both[:, part.held_reservoirs] for part in parts],
            )
            for parts in columns.joined
        )

    def _ledgers(self, reservoirs: Integers) -> list[dict[str, Any]]:
        """What each ledger has taken since the start."""
        rows = []
        for part in columns_of(self.session.graph).fields:
            held = reservoirs[None, part.reservoirs]
            for name, numbers in part.ledgers.items():
                (quanta,) = exact_sums(held[:, numbers])
                amount = quanta * part.field.quantum
                rows.append({"field": part.name, "name": printable(name), "quanta": str(quanta), "amount": amount})
        return rows

    def _look_at_widths(self) -> None:
        """Widen the intervals by the last PDE step, if that is quick."""
        if time.perf_counter() < self._rested:
            return
        begun = time.perf_counter()
        session = self.session
        graph, states = session.graph, [session.before, session.now]
        if session.before.step == session.now.step:
            del states[0]
        trace = trace_of(
            graph,
            np.array([state.step for state in states]),
            np.stack([state.mass for state in states]),
            np.stack([state.transported for state in states]),
            np.array([state.in_flight for state in states]),
        )
        run = Run("fast", states[-1].step, 0, trace, {}, "", 0, 0, {}, 0.0, states[-1])
        for use in width_uses(graph, run).uses:
            if use.reached is not None:
                key = use.population, use.quantity
                low, high = self.reached.get(key, use.reached)
                self.reached[key] = min(low, use.reached[0]), max(high, use.reached[1])
        self._rested = time.perf_counter() + _REST * (time.perf_counter() - begun)

    def _spikes_per_step(self) -> dict[str, float]:
        now, (step, events) = self.session.now, self._counted
        if now.step > step:
            self._rates = {
                name: (count - events.get(name, 0)) / (now.step - step) for name, count in now.events.items()
            }
            self._counted = now.step, dict(now.events)
        return self._rates | {}


def _busiest(graph: IntegerGraph, packets: Integers) -> int:
    """Channel with the largest packet, so that a fault hits one; without packets, a channel in the middle."""
    return int(np.abs(packets).argmax()) if packets.any() else columns_of(graph).channels[0].count // 2


def _raster(packets: Integers) -> NDArray[np.int8]:
    """Signs of the packets of a PDE step, by row of the raster."""
    starts = np.linspace(0, packets.size, min(MOST_SPIKES, packets.size), endpoint=False).astype(np.int64)
    high, low = np.maximum.reduceat(packets, starts), np.minimum.reduceat(packets, starts)
    return np.asarray(np.sign(np.where(high >= -low, high, low)), np.int8)


def _texts(balance: Balance) -> dict[str, str]:
    """Figures in quanta as texts, because scripts of pages round large integers."""
    return {name: str(number) for name, number in balance.figures().items()}


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()

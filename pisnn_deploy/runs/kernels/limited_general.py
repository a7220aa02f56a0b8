"""Kernels for any integer graph whose faces ask before they send: as `pisnn_deploy.runs.kernels.general`.

A PDE step begins with faces that fire and ask, cells that answer, and faces that send; then holders collect, and
populations between them and the faces answer.
"""

from __future__ import annotations

import numpy as np

from pisnn_deploy.runs.kernels.compiled import part
from pisnn_deploy.runs.kernels.general import (  # noqa: F401 - some are kernels
    _arrive,
    _is_too_steep,
    answer,
    collect,
    settle,
    too_steep,
)
from pisnn_deploy.runs.kernels.limited import (
    LimitedRow,
    ask_run,
    audit_ask_run,
    audit_grant_run,
    audit_send_run,
    grant_run,
    send_run,
)
from pisnn_deploy.runs.kernels.places import FLAG_RANGE, FLAGS, LARGEST_CURRENT, TILE

KERNELS = ("ask", "grant", "send", "collect", "answer", "settle", "too_steep")
PARTS = ("pisnn_deploy.runs.kernels.general", "pisnn_deploy.runs.kernels.common", "pisnn_deploy.runs.kernels.places")
HAS_LOW = 1  # replaced by 0 where faces have no low flux


@part
def _row(buffers, share):
    asks = buffers.asks[share]
    return LimitedRow(buffers.arrivals[share], buffers.before[share], asks[0], asks[1], asks[2], buffers.results[share])


def ask(tables, programs, values, arrays, buffers, begin, end, share):
    """Fire faces `begin` to `end`, store what they ask for, and audit them."""
    synapses, mesh = tables[0], tables[2]
    limits, numbers, widths = programs
    row, faces = _row(buffers, share), synapses.first_row.size - 2
    of_faces = (arrays.states, arrays.parameters, arrays.transported, arrays.ends)
    stored = (*of_faces, arrays.asked, arrays.low, arrays.short, arrays.full)
    for at in range(begin, end, TILE):
        n = min(TILE, end - at)
        _arrive(synapses, faces, at, n, values, row.arrivals)
        run = (0, np.uint64(at), np.uint64(at), np.uint64(0), np.uint64(n))
        ask_run(numbers[faces], widths[faces], values, stored, row, arrays.packets, run)
        largest = limits[LARGEST_CURRENT]
        audit_ask_run(numbers[faces], widths[faces], values, stored, row, arrays.packets, run, largest)
    if _is_too_steep(mesh, limits, values, begin, end):
        row.result[FLAGS] |= FLAG_RANGE


@part
def _sum_asks(around, asked, low, row, at, n):
    """Add up what is asked of some cells, and what their low fluxes bring."""
    for x in range(n):
        leaving, coming, balance = np.int64(0), np.int64(0), np.int64(0)
        for e in range(around.start[at + x], around.start[at + x + 1]):
            into = around.sign[e] * asked[0, around.face[e]]
            coming += max(into, 0)
            leaving += max(-into, 0)
            if HAS_LOW:
                balance += around.sign[e] * low[0, around.face[e]]
        row.leaving[x], row.coming[x], row.balance[x] = leaving, coming, balance


def grant(tables, programs, values, arrays, buffers, begin, end, share):
    """Compute the answers of cells `begin` to `end`, and audit them."""
    around = tables[4]
    _, numbers, widths = programs
    row, cells = _row(buffers, share), numbers.shape[0] - 1
    answering = (values, arrays.limits, row, arrays.short, arrays.full)
    for at in range(begin, end, TILE):
        n = min(TILE, end - at)
        _sum_asks(around, arrays.asked, arrays.low, row, at, n)
        events = grant_run(numbers[cells], widths[cells], *answering, np.uint64(at), np.uint64(n))
        row.result[row.result.size - 1] += events
        _sum_asks(around, arrays.asked, arrays.low, row, at, n)
        audit_grant_run(numbers[cells], widths[cells], *answering, np.uint64(at), np.uint64(n))


def send(tables, programs, values, arrays, buffers, begin, end, share):
    """Send the packets of faces `begin` to `end`, and audit them."""
    _, numbers, widths = programs
    row, faces = _row(buffers, share), tables[0].first_row.size - 2
    of_faces = (arrays.states, arrays.parameters, arrays.transported, arrays.ends)
    stored = (*of_faces, arrays.asked, arrays.low, arrays.short, arrays.full)
    for at in range(begin, end, TILE):
        run = (0, np.uint64(at), np.uint64(at), np.uint64(0), np.uint64(min(TILE, end - at)))
        send_run(numbers[faces], widths[faces], values, stored, row, arrays.packets, run)
        audit_send_run(numbers[faces], widths[faces], values, stored, row, arrays.packets, run)

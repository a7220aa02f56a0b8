"""Tables and JSON of graphs of a law: fields, channels, ledgers, and what was compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pisnn_deploy.cli.console import Row
from pisnn_deploy.core.printable import counted
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.fields import Field


def fields_table(graph: IntegerGraph) -> list[Row]:
    """Rows of a table of fields: name, unit, value of a quantum, operating window in values and quanta, ledgers."""
    return [
        (
            field.name,
            field.unit,
            f"{field.value_per_quantum:g}",
            "{:g} to {:g}".format(*graph.range_of(field)),
            f"{field.window.lower} to {field.window.upper}",
            ", ".join(f"{name} ({numbers.size})" for name, numbers in graph.ledgers_of(field).items()),
        )
        for field in graph.fields
    ]


FIELD_COLUMNS = ("field", "unit", "value of a quantum", "range", "quanta", "ledgers (reservoirs)")


def channels_table(graph: IntegerGraph) -> list[Row]:
    """Rows of a table of channels: population, number, fields that a positive packet leaves and enters."""
    names = {field.holder: field.name for field in graph.fields}
    return [
        (c.population, str(c.size), names[c.source_holder], names[c.target_holder], _packet_bits(graph, c.population))
        for c in graph.channels
    ]


CHANNEL_COLUMNS = ("channels", "number", "from", "to", "bits of a packet")


def _packet_bits(graph: IntegerGraph, population: str) -> str:
    bits = [b.bits for b in graph.bounds if (b.population, b.quantity) == (population, "packet")]
    return str(bits[0]) if bits else ""


def compiled_rows(graph: IntegerGraph) -> list[Row]:
    """Rows that ``compile`` prints for a law."""
    certificate, placement = graph.certificate, graph.placement
    states = [bound.bits for bound in graph.bounds if bound.is_state_or_payload]
    accumulators = max(bound.bits for bound in graph.bounds if bound.quantity == "accumulator")
    steps = counted(graph.period or 1, "time step")
    lines = {population.name: population.lines for population in graph.populations if population.lines}
    rows: list[Row] = [
        ("law", graph.spec.name),
        ("mesh", f"{graph.mesh.cells} cells, {graph.boundary_text}"),
        *((f"field {field.name}", _field(graph, field)) for field in graph.fields),
        ("channels", ", ".join(f"{c.population} ({c.size})" for c in graph.channels)),
        (
            "neurons",
            f"{graph.neurons} in {counted(len(graph.populations), 'population')}, "
            f"{sum(synapse.entries for synapse in graph.synapses)} synapses",
        ),
        ("schedule", f"{steps} per PDE step, {graph.coding} coding"),
        ("spikes", f"binary: at most {max(lines.values())} lines of a neuron" if lines else "graded"),
        ("widths", f"states and payloads {max(states)} bits, accumulators {accumulators} bits"),
        ("time step", f"{graph.time_step:.6g}"),
    ]
    error = graph.quantisation.relative_l2_integer
    if error is not None:
        rows.append(("relative L2 error", f"{error:.2e} after {counted(graph.quantisation.steps, 'PDE step')}"))
    if certificate is not None:
        for name, claim in certificate.claims.items():
            has = f": the integers have {claim.coefficients}" if claim.coefficients else ""
            rows.append((name, f"{claim.status}{has}"))
    if placement is not None:
        cores = f"{counted(placement.cores, 'core')} on {counted(placement.chips, 'chip')}"
        rows.append(("placement", f"{cores} ({graph.profile})"))
    return rows


def _field(graph: IntegerGraph, field: Field) -> str:
    unit = f" {field.unit}" if field.unit else ""
    low, high = graph.range_of(field)
    ledgers = ", ".join(graph.ledgers_of(field))
    ending = f"; ledgers: {ledgers}" if ledgers else ""
    return f"{low:g} to {high:g}{unit} in quanta of {field.value_per_quantum:g}{ending}"


def compiled_json(graph: IntegerGraph, provenance: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Result of ``compile --json`` for a law."""
    certificate, placement = graph.certificate, graph.placement
    claims = {} if certificate is None else certificate.claims
    return {
        "model": graph.spec.name,
        "mesh": list(graph.mesh.shape),
        "cells": graph.mesh.cells,
        "neurons": graph.neurons,
        "synapses": sum(synapse.entries for synapse in graph.synapses),
        "period": graph.period,
        "coding": graph.coding,
        "binary": {population.name: population.lines for population in graph.populations if population.lines},
        "time_step": graph.time_step,
        "fields": {
            field.name: {
                "unit": field.unit,
                "quantum": field.quantum,
                "value_per_quantum": field.value_per_quantum,
                "window": [field.window.lower, field.window.upper],
                "ledgers": {name: int(numbers.size) for name, numbers in graph.ledgers_of(field).items()},
            }
            for field in graph.fields
        },
        "channels": {
            c.population: {"number": c.size, "from": c.source_holder, "to": c.target_holder} for c in graph.channels
        },
        "bits": {
            "state_or_payload": max(bound.bits for bound in graph.bounds if bound.is_state_or_payload),
            "accumulator": max(bound.bits for bound in graph.bounds if bound.quantity == "accumulator"),
        },
        "quantisation": {
            "relative_l2_integer": graph.quantisation.relative_l2_integer,
            "steps": graph.quantisation.steps,
        },
        "certificate": {
            **{name: claim.status for name, claim in claims.items()},
            "details": {name: claim.details for name, claim in claims.items()},
        },
        "placement": {"cores": placement.cores, "chips": placement.chips} if placement else None,
        "wall_seconds": seconds,
    }

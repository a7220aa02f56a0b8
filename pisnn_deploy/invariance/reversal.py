"""Channels whose direction may be reversed: then a positive packet leaves what was the target.

A reversed channel hears its drive with the other sign, and what it hears of its two ends under exchanged names. It
moves the same mass only if its program is odd under this exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from pisnn_deploy.graph.fields import Channels
from pisnn_deploy.graph.integer import IntegerGraph, Integers
from pisnn_deploy.graph.limiter import FULL_PORTS, LIMITER_PORTS, SHORT_PORTS
from pisnn_deploy.programs import Program, run
from pisnn_deploy.programs.arrays import Arrays

SAMPLES = 4096
_LARGEST_EXPONENT = 20
_LARGEST_ANSWER = 256
_EXCHANGED = {"forward": "backward", "backward": "forward"}
"""Requests of a channel with a limiter that change places."""


def irreversible(graph: IntegerGraph, channels: Channels) -> str:
    """Why the channels of a population cannot be reversed, or an empty string."""
    if channels.source_holder != channels.target_holder:
        return f"{channels.population} joins {channels.source_holder} and {channels.target_holder}"
    return oddness_problem(graph.population(channels.population).program)


@lru_cache(maxsize=64)
def oddness_problem(program: Program) -> str:
    """Return where a program of channels is not odd, or an empty string; tried on drawn numbers, ties among them."""
    ports = {port: _exchanged(port) for port in program.ports}
    missing = sorted({*ports.values()} - {*ports})
    if missing:
        return f"the program {program.name} hears one end of a channel alone, and has no port {missing[0]}"
    inputs = _samples(program)
    turned = {name: values if name in LIMITER_PORTS else -values for name, values in inputs.items()}
    turned |= {port: inputs[other] for port, other in ports.items() if port in LIMITER_PORTS}
    ahead, back = (run(program, Arrays(), values) for values in (inputs, turned))
    pairs = [(f"state {name}", ahead.states[name], -back.states[name]) for name in program.states]
    for name, value in zip(program.sends, ahead.sends, strict=True):
        other = back.sends[program.sends.index(_EXCHANGED.get(name, name))]
        pairs.append((name, value, other if name in _EXCHANGED else -other))
    for name, value, expected in pairs:
        wrong = np.flatnonzero(np.broadcast_to(value != expected, SAMPLES))
        if wrong.size:
            index = int(wrong[0])
            shown = ", ".join(f"{key} {int(values[index])}" for key, values in inputs.items())
            return f"the program {program.name} is not odd: {name} does not change its sign with {shown}"
    return ""


def _exchanged(port: str) -> str:
    if port not in LIMITER_PORTS:
        return port
    end, _, what = port.partition("_")
    return f"{'target' if end == 'source' else 'source'}_{what}"


def _samples(program: Program) -> Mapping[str, Integers]:
    """Numbers for all inputs: zeros, small ones, and multiples of powers of two, at which halves are rounded."""
    generator = np.random.default_rng(0)
    values: dict[str, Integers] = {}
    for name in (*program.ports, *program.states, *program.parameters):
        if name in (*SHORT_PORTS, *FULL_PORTS):
            values[name] = generator.integers(0, _LARGEST_ANSWER + 1, SAMPLES)
            continue
        exponent = generator.integers(0, _LARGEST_EXPONENT, SAMPLES)
        near = generator.integers(-3, 4, SAMPLES) * 2**exponent + generator.integers(-1, 2, SAMPLES)
        values[name] = np.where(generator.integers(0, 2, SAMPLES) == 0, 0, near)
    return values

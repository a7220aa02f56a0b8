"""Every reader of programs agrees with Python's integers, on random programs and on the neurons of this project."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_programs import Drawn, random_program
from whole_values import NEURONS, in_whole

from pisnn_deploy.programs import Result, parse, run
from pisnn_deploy.programs.arrays import Arrays
from pisnn_deploy.programs.interval import Interval
from pisnn_deploy.programs.intervals import bounds
from pisnn_deploy.programs.source import Dialect, Statements, c99
from pisnn_deploy.programs.tape import Tape
from pisnn_deploy.programs.whole import Whole
from pisnn_deploy.runs.kernels.ir import LONG, Function, number, table_texts
from pisnn_deploy.runs.kernels.machine import machine
from pisnn_deploy.runs.kernels.words import Words

Integers = NDArray[np.int64]
EXAMPLES = int(os.environ.get("PISNN_CASES", "100"))
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_numpy_agrees_with_python_integers(seed: int) -> None:
    drawn = random_program(seed)
    inputs = drawn.inputs(np.random.default_rng(seed), NEURONS)
    result: Result[Integers] = run(drawn.program, Arrays(), inputs)
    values = {name: np.broadcast_to(value, NEURONS).tolist() for name, value in result.values.items()}
    assert values == in_whole(drawn.program, inputs)


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_what_is_recorded_once_agrees_with_python_integers_in_every_step(seed: int) -> None:
    drawn, rng, tape = random_program(seed), np.random.default_rng(seed), Tape(NEURONS)
    inputs = drawn.inputs(rng, NEURONS)
    values = run(drawn.program, tape, inputs).values
    for _ in range(3):
        for call in tape.calls:
            call()
        assert {name: value.tolist() for name, value in values.items()} == in_whole(drawn.program, inputs)
        for name, value in drawn.inputs(rng, NEURONS).items():
            inputs[name][:] = value


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_states_that_are_made_in_their_own_memory_agree_with_python_integers(seed: int) -> None:
    drawn, rng, tape = random_program(seed), np.random.default_rng(seed), Tape(NEURONS)
    memory = drawn.inputs(rng, NEURONS)
    kept = set(drawn.program.states).intersection((*drawn.program.after, *drawn.program.sends))
    inputs = {name: tape.copy(value) if name in kept else value for name, value in memory.items()}
    values = {**run(drawn.program, tape, inputs).values}
    for state, name in zip(drawn.program.states, drawn.program.after, strict=True):
        if tape.move(values[name], memory[state]):
            values[name] = memory[state]
    for _ in range(3):
        whole = in_whole(drawn.program, memory)
        for call in tape.calls:
            call()
        # A state may be overwritten by then: what the program makes is compared, and what goes on with it.
        made = {result for operation in drawn.program.operations for result in operation.results}
        assert {name: values[name].tolist() for name in made} == {name: whole[name] for name in made}
        for name, value in drawn.inputs(rng, NEURONS).items():
            memory[name][:] = value


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_no_value_leaves_its_interval(seed: int) -> None:
    drawn = random_program(seed)
    intervals = bounds(drawn.program, drawn.bounds)
    values = in_whole(drawn.program, drawn.inputs(np.random.default_rng(seed), NEURONS))
    for name, of_neurons in values.items():
        assert intervals[name].lower <= min(of_neurons) and max(of_neurons) <= intervals[name].upper, name


@settings(max_examples=EXAMPLES)
@given(SEEDS)
def test_the_text_of_a_program_is_the_program(seed: int) -> None:
    program = random_program(seed).program
    assert parse(str(program)) == program


def written(drawn: Drawn, dialect: Dialect, declare: str, entries: str) -> tuple[list[str], list[str]]:
    """Statements that leave all results of a program in ``out``, and declarations of its tables."""
    program = drawn.program
    names = {name: f"inputs[{at}]" for at, name in enumerate(program.inputs)}
    tables = []
    for table in program.tables:
        numbers = ", ".join(map(str, table.entries))
        tables += [declare.format(name=table.name, size=len(table.entries), numbers=entries.format(numbers))]
    text = {**names, **{table.name: table.name for table in program.tables}}
    statements = Statements(dialect)
    values = statements.write(program, text)
    results = program.names[len(program.inputs) :]
    return [*statements.lines, *(f"out[{at}] = {values[name]}" for at, name in enumerate(results))], tables


def expected(drawn: Drawn, inputs: Mapping[str, Integers]) -> list[list[int]]:
    values = in_whole(drawn.program, inputs)
    return [values[name] for name in drawn.program.names[len(drawn.program.inputs) :]]


BATCH = 60


def test_c_agrees_with_python_integers(tmp_path: Path) -> None:
    batch = [random_program(seed) for seed in range(BATCH)]
    functions = ["#include <stdint.h>"]
    for at, drawn in enumerate(batch):
        lines, tables = written(
            drawn, c99(64), "static const int64_t {name}[] = {numbers}; enum {{ {name}_last = {size} - 1 }};", "{{{}}}"
        )
        body = "\n".join([*tables, *(line if line.endswith(";") else f"{line};" for line in lines)])
        functions.append(f"void f{at}(const int64_t *inputs, int64_t *out) {{\n{body}\n}}")
    (tmp_path / "p.c").write_text("\n".join(functions))
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wno-unused-variable", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, "p.c", "-o", "p.so"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "p.so"))
    for at, drawn in enumerate(batch):
        inputs = drawn.inputs(np.random.default_rng(at), NEURONS)
        want = expected(drawn, inputs)
        for neuron in range(NEURONS):
            given = np.array([inputs[name][neuron] for name in drawn.program.inputs], np.int64)
            out = np.zeros(max(len(want), 1), np.int64)
            pointer = ctypes.POINTER(ctypes.c_int64)
            getattr(library, f"f{at}")(given.ctypes.data_as(pointer), out.ctypes.data_as(pointer))
            assert out[: len(want)].tolist() == [values[neuron] for values in want], str(drawn.program)


def test_instructions_of_llvm_agree_with_python_integers() -> None:
    """Each value in the width that its bounds need."""
    batch = [random_program(seed) for seed in range(BATCH)]
    tables: dict[tuple[int, ...], str] = {}
    functions = []
    for at_drawn, drawn in enumerate(batch):
        program = drawn.program
        for table in program.tables:
            tables.setdefault(table.entries, f"@table{len(tables)}")
        words = Words(program, drawn.bounds)
        code = Function(f"f{at_drawn}", "ptr %inputs, ptr %out", is_entry=True)
        inputs = {name: code.load(code.at("%inputs", LONG, number(at)), LONG) for at, name in enumerate(program.inputs)}
        values = words.write(code, inputs, tables)
        for at, name in enumerate(program.names[len(program.inputs) :]):
            code.store(code.at("%out", LONG, number(at)), values[name], LONG)
        code.line("ret void")
        functions.append(code.text())
    engine = machine().loaded(machine().object_code("\n".join([*table_texts(tables), *functions])))
    for at_drawn, drawn in enumerate(batch):
        run_it = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(engine.get_function_address(f"f{at_drawn}"))
        drawn_inputs = drawn.inputs(np.random.default_rng(at_drawn), NEURONS)
        want = expected(drawn, drawn_inputs)
        for neuron in range(NEURONS):
            given_to = np.array([drawn_inputs[name][neuron] for name in drawn.program.inputs], np.int64)
            out = np.zeros(max(1, len(want)), np.int64)
            run_it(given_to.ctypes.data, out.ctypes.data)
            assert out[: len(want)].tolist() == [values[neuron] for values in want], str(drawn.program)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(1, 20))
def test_firing_is_odd_and_leaves_at_most_half_of_theta(potential: int, exponent: int) -> None:
    packet, rest = Whole().fire(potential, exponent)
    assert potential == (packet << exponent) + rest and abs(rest) <= 1 << exponent - 1
    assert Whole().fire(-potential, exponent) == (-packet, -rest)


def test_intervals_know_that_a_residue_is_at_most_half_of_theta() -> None:
    fire = parse("neuron n(p; r; )\nv = add(r, p)\nk, r1 = fire(v, 7)\nkeep r = r1\nsend k")
    intervals = bounds(fire, {"p": Interval(-1000, 5000), "r": Interval(-64, 64)})
    assert (intervals["r1"], intervals["k"]) == (Interval(-64, 64), Interval(-8, 40))

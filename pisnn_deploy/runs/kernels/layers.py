"""Code generation for programs of populations between membranes and faces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs.source import NUMBA_WORDS, Statements
from pisnn_deploy.runs.kernels.faces import ARRIVAL, Numbers, UnservedError, bits_of, comparison, folded


@dataclass(frozen=True)
class LayerText:
    """Generated function of a population between membranes and faces.

    Attributes
    ----------
    text : str
        Body of the function, which computes ``sent`` for each neuron.
    numbers : tuple of int
        Constants for the function.
    widths : tuple of str
        Values whose widths are checked, in the order of the limits.
    """

    text: str
    numbers: tuple[int, ...]
    widths: tuple[str, ...]


def layer_text(population: Population, bounded: Iterable[str]) -> LayerText:
    """Generate the loop of a population without states and with one output.

    Parameters
    ----------
    bounded : iterable of str
        Values with a declared width.

    Raises
    ------
    UnservedError
        If the kernels do not support the program.
    """
    program, numbers = population.program, Numbers()
    constant = {folded(program)} | {name for name, values in population.parameters.items() if _is_one(values)}
    if program.states or program.ports != (ARRIVAL,) or len(program.sends) != 1 or set(program.parameters) - constant:
        raise UnservedError(f"program {program.name}: kernels do not support it between membranes and faces")
    names = {ARRIVAL: f"v_{ARRIVAL}"} | numbers.tables(program)
    for name in program.parameters:
        names[name] = "t(0)" if name == folded(program) else numbers(int(population.parameters[name][0]))
    statements = Statements(NUMBA_WORDS, "v_", numbers)
    values = statements.write(program, names)
    widths = tuple(name for name in program.names if name in set(bounded))
    sent, before = values[program.sends[0]], "(values[first + x] if changes_count else 0)"
    mask = numbers.mask(population.lines) if population.lines else ""
    lines = [
        "t = arrivals.dtype.type",
        "sign_bit = t(8 * arrivals.itemsize - 1)",
        *numbers.reading,
        *(f"b_{name} = t(0)" for name in widths),
        "events = 0",
        "for x in range(n):",
        f"    v_{ARRIVAL} = arrivals[x]",
        *(f"    {line}" for line in statements.lines),
        *(f"    {bits_of(name, values[name])}" for name in widths),
        f"    events += spikes({sent} - {before}, {mask})" if mask else f"    events += {sent} != {before}",
        f"    values[first + x] = {sent}",
        *(comparison(name, at) for at, name in enumerate(widths)),
        "return events",
    ]
    return LayerText("\n".join(lines), tuple(numbers.values), widths)


def answering(texts: Iterable[str]) -> str:
    """Generate ``answer_run``, which calls the function of a population by its number."""
    functions, calls = [], []
    arguments = "numbers, widths, values, row, first, n, changes_count"
    for kind, text in enumerate(texts):
        body = ["arrivals, result = row.arrivals, row.result", *text.split("\n")]
        functions += [f"def answer_{kind}({arguments}):", *(f"    {line}" for line in body), ""]
        calls += [f"    if kind == {kind}:", f"        return answer_{kind}({arguments})"]
    return "\n".join([*functions, f"def answer_run(kind, {arguments}):", *calls, "    return 0", ""])


def _is_one(values: Integers) -> bool:
    return bool(values.size and (values == values[0]).all())

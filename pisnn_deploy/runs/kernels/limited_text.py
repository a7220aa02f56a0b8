"""Code generation for channels with a limiter, and for the cells that answer them.

The program of a face is cut in two: `ask_run` fires, and stores the low flux and what the face asks for; `send_run`
computes the packet from these and the answers. `grant_run` computes the answers of cells, and looks first whether any
cell of a run is asked for more than it has. Each has an audit, which computes the same again from stored values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pisnn_deploy.audit.firing import firing_of
from pisnn_deploy.graph.limiter import FULL_PORTS, SHORT_PORTS
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.programs import Operation, Program
from pisnn_deploy.programs.source import NUMBA_WORDS, Statements
from pisnn_deploy.runs.kernels.faces import (
    ANYWHERE,
    CURRENT,
    FaceText,
    FaceWriter,
    Numbers,
    UnservedError,
    bits_of,
    comparison,
    fired,
)

APART = "apart_answer"
"""Name of the function that computes the answers of one cell."""
ASKED, LOW_FLUX = "asked", "low"
"""Values of a face that are stored between its two parts."""
_SHORT, _FULL = ("short", "full")
CELL_PORTS = ("mass", "balance", "leaving", "coming")
"""Ports of the cells that answer."""
_ON_A_GRID = ("i", "i + stride")
_ANYWHERE = ("ends[0, i]", "ends[1, i]")
"""Places of the cells at the ends of a face."""


@dataclass(frozen=True)
class CellText:
    """Generated functions of the cells that answer.

    Attributes
    ----------
    text : str
        Source of ``grant_run`` and ``audit_grant_run``.
    numbers : tuple of int
        Constants for the functions.
    arrays : tuple of str
        Parameters with a value for each cell.
    widths : tuple of str
        Values whose widths are checked, in the order of the limits.
    """

    text: str
    numbers: tuple[int, ...]
    arrays: tuple[str, ...]
    widths: tuple[str, ...]


def limited_face_text(
    population: Population,
    constant: Mapping[str, int],
    bounded: Iterable[str],
    narrow_products: frozenset[str],
    ends: Mapping[str, str],
) -> FaceText:
    """Generate ``ask_run``, ``audit_ask_run``, ``send_run`` and ``audit_send_run`` of faces with a limiter.

    Parameters
    ----------
    population, constant, bounded, narrow_products, ends
        As of `pisnn_deploy.runs.kernels.faces.face_text`.

    Raises
    ------
    UnservedError
        If the kernels do not support the program.
    """
    writer = _Faces(population, constant, set(bounded), narrow_products, ends)
    functions = (
        ("ask_run", "", writer.ask()),
        ("audit_ask_run", ", largest_current", writer.audit_ask()),
        ("send_run", "", writer.send()),
        ("audit_send_run", "", writer.audit_send()),
    )
    text = "\n".join(line for name, others, parts in functions for line in (*writer.function(name, others, *parts), ""))
    return FaceText(text, tuple(writer.numbers.values), tuple(writer.arrays), writer.widths)


def part_of(program: Program, values: Iterable[str], known: Iterable[str]) -> tuple[Operation, ...]:
    """Operations that some values depend on, where others are known."""
    needed, operations = {*values}.difference(known), []
    for operation in reversed(program.operations):
        if needed.intersection(operation.results):
            operations.append(operation)
            needed.update(value for value in operation.operands if isinstance(value, str) and value not in {*known})
    return tuple(reversed(operations))


def _inputs(operations: Iterable[Operation]) -> set[str]:
    return {value for operation in operations for value in operation.operands if isinstance(value, str)}


class _Faces(FaceWriter):
    """Generates the loops of one program of faces."""

    unpacked = "states, parameters, transported, ends, asked, low, short, full"

    def __init__(
        self,
        population: Population,
        constant: Mapping[str, int],
        bounded: set[str],
        narrow_products: frozenset[str],
        ends: Mapping[str, str],
    ) -> None:
        self._places = _ANYWHERE if ends is ANYWHERE else _ON_A_GRID
        super().__init__(population, constant, bounded, narrow_products, ends)
        program, firing = self.program, firing_of(self.program, 0)
        names, sends = {*program.names}, program.sends[1:]
        if firing is None or ASKED not in names or CURRENT not in names or not 2 <= len(sends) <= 3:
            raise UnservedError(f"program {program.name}: kernels know no such limiter")
        self._exponent, self._asks = firing.exponent, sends
        self._has_low = LOW_FLUX in names
        self._early = part_of(program, (*program.after, CURRENT, ASKED, *sends), ())
        known = (ASKED, LOW_FLUX) if self._has_low else (ASKED,)
        self._late = part_of(program, program.sends[:1], known)
        answers = {*SHORT_PORTS, *FULL_PORTS}
        others = _inputs(self._late) - {*known} - {result for each in self._late for result in each.results}
        if _inputs(self._early) & answers or others - answers:
            raise UnservedError(f"program {program.name}: kernels know no such limiter")
        self._answers = [port for port in program.ports if port in answers]
        early = {*program.inputs, *(result for each in self._early for result in each.results)} - answers
        self._at_ask = [name for name in program.names if name in bounded and name in early - {*program.after}]
        self._at_audit = [name for name in program.after if name in bounded]
        self._at_send = [name for name in program.names if name in bounded and name not in early]
        self.widths = (*self._at_ask, *self._at_audit, *self._at_send)

    def load(self, name: str, constant: Mapping[str, int]) -> list[str]:
        """Return the statements that load a port or a parameter."""
        for ports, array in ((SHORT_PORTS, _SHORT), (FULL_PORTS, _FULL)):
            if name in ports:
                return [f"v_{name} = t({array}[{self._places[ports.index(name)]}])"]
        return super().load(name, constant)

    def _loads(self, *, of_answers: bool) -> list[str]:
        heard = tuple(f"v_{port} = " for port in (*SHORT_PORTS, *FULL_PORTS))
        return [line for line in self.loads if line.startswith(heard) == of_answers]

    def ask(self) -> tuple[list[str], list[str], list[str]]:
        """Code before, in and after the loop that fires and asks."""
        program, states = self.program, self.states
        statements = Statements(NUMBA_WORDS, "v_", self.numbers, self.narrow_products)
        values = statements.write(program, self.names, self._early)
        loop = [
            *(f"v_{state} = t(s{at}[axis, i])" for at, state in states),
            *self._loads(of_answers=False),
            *statements.lines,
            *(f"old{at} = t(old{at} + v_{state})" for at, state in states),
            f"before[x] = v_{program.states[-1]}",
            *([] if CURRENT in program.after else [f"arrivals[x] = {values[CURRENT]}"]),
            *(f"s{at}[axis, i] = s{at}_t({values[name]})" for at, name in enumerate(program.after)),
            f"asked[axis, i] = {values[ASKED]}",
            *([f"low[axis, i] = {values[LOW_FLUX]}"] if self._has_low else []),
            *(bits_of(name, values[name]) for name in self._at_ask),
        ]
        begin = [
            *(f"s{at}_t = s{at}.dtype.type" for at, _ in states),
            *(f"old{at} = t(0)" for at, _ in states),
            *(f"b_{name} = t(0)" for name in self._at_ask),
        ]
        end = [
            *(f"result[STATES + {2 * at}] += old{at}" for at, _ in states),
            *(comparison(name, at) for at, name in enumerate(self._at_ask)),
        ]
        return begin, loop, end

    def audit_ask(self) -> tuple[list[str], list[str], list[str]]:
        """Code before, in and after the loop that audits states and requests by what they say of each other."""
        program, states = self.program, self.states
        again = Statements(NUMBA_WORDS, "w_", self.numbers, self.narrow_products)
        wanted = (ASKED, LOW_FLUX) if self._has_low else (ASKED,)
        operations = part_of(program, wanted, (fired(program),))
        values = again.write(program, {**self.names, fired(program): "left"}, operations)
        shift = self.numbers(self._exponent)
        needed = tuple(f"v_{name} = " for name in _inputs(operations))
        loop = [
            *(f"v_{name} = t(s{at}[axis, i])" for at, name in enumerate(program.after)),
            *(f"new{at} = t(new{at} + v_{name})" for at, name in enumerate(program.after)),
            f"current = {f'v_{CURRENT}' if CURRENT in program.after else 'arrivals[x]'}",
            f"rest = t(v_{program.after[-1]} - before[x])",
            f"left = t(t(current - rest) >> {shift})",
            *(line for line in self._loads(of_answers=False) if line.startswith(needed)),
            *again.lines,
            *(f"differs{at} = t({values[name]} ^ {name}[axis, i])" for at, name in enumerate(wanted)),
            f"wrong = t(wrong | t({' | '.join(f'differs{at}' for at, _ in enumerate(wanted))}))",
            f"wrong = t(wrong | t(t(t(left << {shift}) + rest) - current))",
            "largest = max(largest, max(current, t(-current)))",
            *(bits_of(name, f"v_{name}") for name in self._at_audit),
        ]
        begin = [
            *(f"new{at} = t(0)" for at, _ in states),
            "wrong, largest = t(0), t(0)",
            *(f"b_{name} = t(0)" for name in self._at_audit),
        ]
        end = [
            "if wrong:",
            "    result[FLAGS] |= FLAG_FLUX",
            "if largest > largest_current:",
            "    result[FLAGS] |= FLAG_RANGE",
            *(f"result[STATES + {2 * at + 1}] += new{at}" for at, _ in states),
            *(comparison(name, len(self._at_ask) + at) for at, name in enumerate(self._at_audit)),
        ]
        return begin, loop, end

    def _packet(self, prefix: str) -> tuple[list[str], dict[str, str]]:
        """Statements from what is asked and the answers to the packet, and the text of each value."""
        statements = Statements(NUMBA_WORDS, prefix, self.numbers, self.narrow_products)
        known = {ASKED: "v_asked", **({LOW_FLUX: "v_low"} if self._has_low else {})}
        values = statements.write(self.program, {**self.names, **known}, self._late)
        loads = [
            "v_asked = t(asked[axis, i])",
            *(["v_low = t(low[axis, i])"] if self._has_low else []),
            *self._loads(of_answers=True),
        ]
        return [*loads, *statements.lines], values

    def send(self) -> tuple[list[str], list[str], list[str]]:
        """Code before, in and after the loop that sends packets."""
        lines, values = self._packet("v_")
        sent = values[self.program.sends[0]]
        loop = [
            *lines,
            f"packets[axis, place + x] = {sent}",
            f"transported[axis, i] = t(transported[axis, i] + {sent})",
            f"count = t(count + (t(1) if {sent} != t(0) else t(0)))",
            f"quanta += np.int64(max({sent}, t(-{sent})))",
            "asks = t(asks + (t(1) if v_asked != t(0) else t(0)))",
            *(["asks = t(asks + (t(1) if v_low != t(0) else t(0)))"] if self._has_low else []),
            *(bits_of(name, values[name]) for name in self._at_send),
        ]
        begin = ["count, quanta, asks = t(0), np.int64(0), t(0)", *(f"b_{name} = t(0)" for name in self._at_send)]
        first = len(self._at_ask) + len(self._at_audit)
        end = [
            "result[PACKETS] += count",
            "result[QUANTA] += quanta",
            "result[FLUX_SPIKES] += count",
            "result[FLUX_SPIKES] += asks",
            *(comparison(name, first + at) for at, name in enumerate(self._at_send)),
        ]
        return begin, loop, end

    def audit_send(self) -> tuple[list[str], list[str], list[str]]:
        """Code before, in and after the loop that compares packets with what was asked and answered."""
        lines, values = self._packet("w_")
        expected = values[self.program.sends[0]]
        loop = [*lines, f"wrong = t(wrong | t({expected} ^ t(packets[axis, place + x])))"]
        return ["wrong = t(0)"], loop, ["if wrong:", "    result[FLAGS] |= FLAG_FLUX"]


def cell_text(population: Population, checked: Iterable[str]) -> CellText:
    """Generate the loops of the cells that answer.

    Parameters
    ----------
    population : Population
        Cells that run `pisnn_deploy.programs.limiter.answer`.
    checked : iterable of str
        Values whose widths are checked.
    """
    writer = _Cells(population, {*checked})
    functions = (writer.answer(), writer.function("grant_run", writer.grant()))
    lines = [*functions[0], "", *functions[1], "", *writer.function("audit_grant_run", writer.audit()), ""]
    return CellText("\n".join(lines), tuple(writer.numbers.values), tuple(writer.arrays), tuple(writer.widths))


class _Cells:
    """Generates the loops of one program of cells.

    A loop looks which cells of a run are asked for too much. Only then a second one calls `APART`, a function of its
    own, for those: it divides, in 64 bits, and is not worth the compilation of a vectorised loop.
    """

    def __init__(self, population: Population, checked: set[str]) -> None:
        program = self.program = population.program
        self.numbers = Numbers()
        self.names = {name: f"v_{name}" for name in program.ports} | self.numbers.tables(program)
        self.arrays: list[str] = []
        self._loads = ["v_mass = t(mass[at + x])"]
        self._loads += [f"v_{port} = {port}[x]" for port in program.ports if port != "mass"]
        for name in program.parameters:
            values = population.parameters[name]
            if values.size and (values == values[0]).all():
                self.names[name] = self.numbers(int(values[0]))
            else:
                self._loads.append(f"v_{name} = t(parameters[{len(self.arrays)}][at + x])")
                self.names[name] = f"v_{name}"
                self.arrays.append(name)
        self._tests = [f"is_{value}" for value in program.sends]
        self._first = part_of(program, self._tests, ())
        seen = {*program.ports, *(result for each in self._first for result in each.results)}
        self.widths = [name for name in program.names if name in checked]
        self._early = [name for name in self.widths if name in seen]
        self._late = [name for name in self.widths if name not in seen]
        self._arguments = ", ".join(f"v_{name}" for name in (*program.ports, *self.arrays))
        self._outputs = [f"{array}[at + x]" for _, array in zip(program.sends, ("short", "full"), strict=False)]

    def answer(self) -> list[str]:
        """Code of the function that computes the answers of one cell, and whether a value exceeds its width."""
        every = Statements(NUMBA_WORDS, "v_", self.numbers)
        values = every.write(self.program, self.names)
        wide = [f"outside({values[name]}, widths[{self.widths.index(name)}])" for name in self._late]
        return [
            f"def {APART}(numbers, widths, {self._arguments}):",
            "    t = np.int64",
            *(f"    {line}" for line in (*self.numbers.reading, *every.lines)),
            f"    return {', '.join(values[name] for name in self.program.sends)}, {' or '.join(wide) or 'False'}",
        ]

    def _look(self) -> tuple[list[str], dict[str, str]]:
        """Statements that find out whether a cell is asked for too much, and the text of each value."""
        first = Statements(NUMBA_WORDS, "v_", self.numbers)
        values = first.write(self.program, self.names, self._first)
        return [*self._loads, *first.lines], values

    def _called(self) -> str:
        arguments = ", ".join(f"np.int64({each})" for each in self._arguments.split(", "))
        results = ["new_short", "new_full"][: len(self._outputs)]
        return f"{', '.join(results)}, is_wide = {APART}(numbers, widths, {arguments})"

    def grant(self) -> tuple[list[str], list[str], list[str]]:
        """Code of the first and the second loop, and what follows."""
        looking, values = self._look()
        quick = [
            *looking,
            *(f"some = t(some | {values[test]})" for test in self._tests),
            *(bits_of(width, values[width]) for width in self._early),
            *(f"{place} = t(0)" for place in self._outputs),
        ]
        slow = [
            *self._loads,
            self._called(),
            *(f"{place} = t(new_{place.split('[', 1)[0]})" for place in self._outputs),
            *(f"events += np.int64({place} != 0)" for place in self._outputs),
            "result[FLAGS] |= FLAG_WIDTH if is_wide else 0",
        ]
        return quick, slow, [comparison(width, self.widths.index(width)) for width in self._early]

    def audit(self) -> tuple[list[str], list[str], list[str]]:
        """As `grant`, of loops that compare answers."""
        looking, values = self._look()
        quick = [
            *looking,
            *(f"some = t(some | {values[test]})" for test in self._tests),
            *(f"wrong = t(wrong | {place})" for place in self._outputs),
        ]
        slow = [
            *self._loads,
            self._called(),
            *(f"other |= new_{place.split('[', 1)[0]} ^ np.int64({place})" for place in self._outputs),
        ]
        return quick, slow, ["if other or (wrong and not some):", "    result[FLAGS] |= FLAG_FLUX"]

    def function(self, name: str, parts: tuple[list[str], list[str], list[str]]) -> list[str]:
        """A function of both loops; call it after all loops are generated."""
        quick, slow, end = parts
        opened = [
            "t = row.arrivals.dtype.type",
            "sign_bit = t(8 * row.arrivals.itemsize - 1)",
            "leaving, coming, balance, result = row.leaving, row.coming, row.balance, row.result",
            *self.numbers.reading,
            "some, wrong, other, events = t(0), t(0), np.int64(0), np.int64(0)",
            *(f"b_{width} = t(0)" for width in self._early),
        ]
        # Widths after the test are those of all cells.
        return [
            f"def {name}(numbers, widths, mass, parameters, row, short, full, at, n):",
            *(f"    {line}" for line in opened),
            "    for x in range(n):",
            *(f"        {line}" for line in quick),
            f"    if {'True' if self._late else 'some'}:",
            "        for x in range(n):",
            *(f"            {line}" for line in slow),
            *(f"    {line}" for line in end),
            "    return events",
        ]

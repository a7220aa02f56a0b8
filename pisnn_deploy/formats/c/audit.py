"""C of the audit: what it keeps, and what it compares after every PDE step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pisnn_deploy.core.rows import Rows, from_triplets
from pisnn_deploy.formats.c.neurons import INDENT, Call, Fired, array_of_values, type_to_add, visits
from pisnn_deploy.formats.c.plan import Array, Holders, Neurons, Plan
from pisnn_deploy.formats.c.texts import EQUAL, WITHIN
from pisnn_deploy.formats.c.types import Reads, literal
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.fields import Channels


def book_of(array: Array) -> Array:
    """Expected content of an array."""
    return Array(f"{array.name}_book", array.size, array.bounds)


def audit_arrays(plan: Plan) -> Iterator[Array]:
    """Arrays that only the audit needs."""
    for holders in plan.holders:
        yield from (book_of(array) for array, _ in holders.parts if array.size)
    for neurons in plan.neurons:
        fired = Fired.of(neurons)
        if fired is not None:
            yield fired.current
            yield from (array for array, _ in fired.own_packets)
            yield fired.last_residue


def audit(plan: Plan) -> Iterator[str]:
    """Functions of the audit, the last one being ``pisnn_audit``."""
    for channels, neurons in plan.channels:
        yield from _expected(plan, channels, neurons)
    yield from _begin(plan)
    checks: list[str] = []
    lines: list[str] = []
    for neurons in plan.neurons:
        lines += _checked_neurons(plan, neurons, checks)
    for holders in plan.holders:
        lines += _checked_holders(plan, holders, checks)
    lines += _totals(plan, checks)
    yield from _comparisons(checks)
    yield from lines
    yield "int pisnn_audit(struct pisnn_violation *violation)"
    yield "{"
    yield f"{INDENT}pisnn_found.kind = PISNN_NONE;"
    yield f"{INDENT}if (++pisnn_audited != pisnn_steps) {{"
    yield f"{INDENT * 2}pisnn_audited = pisnn_steps;"
    yield f"{INDENT * 2}pisnn_violated(PISNN_MISSED, 0, 0);"
    yield f"{INDENT}}}"
    yield from (f"{INDENT}{neurons.name}_carry();" for _, neurons in plan.channels)
    yield from (f"{INDENT}{check};" for check in checks)
    yield f"{INDENT}if (violation) {{"
    yield f"{INDENT * 2}*violation = pisnn_found;"
    yield f"{INDENT}}}"
    yield f"{INDENT}return (int)pisnn_found.kind;"
    yield "}"


def _comparisons(checks: list[str]) -> Iterator[str]:
    """Functions that compare arrays, one for each type that some check needs."""
    for kind, template in (("within", WITHIN), ("equal", EQUAL)):
        for bits in (8, 16, 32, 64):
            if any(check.startswith(f"pisnn_{kind}_int{bits}_t(") for check in checks):
                yield template.substitute(type=f"int{bits}_t")


def _expected(plan: Plan, channels: Channels, neurons: Neurons) -> Iterator[str]:
    """Move the packets in the books, by the ends of channels and not by the synapses that carry packets."""
    calls = []
    matrices: dict[str, list[Rows]] = {}
    size, sent = neurons.population.size, neurons.sends[channels.output]
    packets = np.arange(size, dtype=np.int64)
    for holder, ends, sign in (
        (channels.source_holder, channels.source, -1),
        (channels.target_holder, channels.target, 1),
    ):
        field = plan.holder(holder).field
        matrices.setdefault(holder, []).append(
            from_triplets(ends, packets, np.full(size, sign, np.int64), (field.size, size))
        )
    for holder, parts in matrices.items():
        matrix = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        for array, first in plan.holder(holder).parts:
            rows = np.arange(first, first + array.size, dtype=np.int64)
            part = matrix.rows(rows)
            if not part.entries:
                continue
            name = f"{neurons.name}_to_{array.name}"
            type_ = type_to_add(array, [sent], matrix)
            yield f"static void {name}_add(pisnn_index n, {type_} arrival)"
            yield "{"
            book = book_of(array)
            yield f"{INDENT}{book.name}[n] = ({book.type})({book.name}[n] + arrival);"
            yield "}"
            yield ""
            read = Reads("arrival", neurons.population.name, channels.output, part)
            call = Call(f"{name}_add", ("arrival",), (type_,))
            yield from visits(plan, f"{name}_carry", array.size, [read], call, f"{name}_carry")
            calls.append(f"{name}_carry")
    yield f"static void {neurons.name}_carry(void)"
    yield "{"
    yield from (f"{INDENT}{call}();" for call in calls)
    yield "}"
    yield ""


def _begin(plan: Plan) -> Iterator[str]:
    """Open the books."""
    yield "static void pisnn_audit_begin(void)"
    yield "{"
    yield f"{INDENT}pisnn_index n;"
    pairs = [(book_of(array), array) for holders in plan.holders for array, _ in holders.parts if array.size]
    for neurons in plan.neurons:
        fired = Fired.of(neurons)
        pairs += [(fired.last_residue, fired.residue)] if fired else []
    for book, array in pairs:
        yield f"{INDENT}for (n = 0; n < {array.size}; n++) {{"
        yield f"{INDENT * 2}{book.name}[n] = {array.name}[n];"
        yield f"{INDENT}}}"
    for number, part in enumerate(_joined(plan)):
        yield f"{INDENT}pisnn_total[{number}] = {_sum_call(part)};"
    yield f"{INDENT}pisnn_audited = 0;"
    yield "}"
    yield ""


def _checked_neurons(plan: Plan, neurons: Neurons, checks: list[str]) -> Iterator[str]:
    """Widths of everything that a population keeps or sends, and I3 of its channels."""
    number = plan.numbers[neurons.population.name]
    fired = Fired.of(neurons)
    for array in [*neurons.arrays, *([fired.current] if fired else [])]:
        if not _fills_its_type(array):
            ends = literal(array.bounds.lower), literal(array.bounds.upper)
            checks.append(_call_within(array, ends, "PISNN_OVERFLOW", number, 0))
    if not fired:
        return
    checks.append(f"{neurons.name}_check()")
    theta = literal(1 << fired.exponent)
    # Bounds are checked before, so modular arithmetic misses nothing where all values of the equation fit the word.
    word = "uint32_t" if fired.fits_a_word else "uint64_t"
    left = (
        f"({word}){fired.packets.name}[n] * {theta} + ({word}){fired.residue.name}[n] - "
        f"({word}){fired.last_residue.name}[n]"
    )
    yield f"static void {neurons.name}_check(void)"
    yield "{"
    yield f"{INDENT}pisnn_index n;"
    yield f"{INDENT}int differs = 0;"
    size, differs = fired.residue.size, f"{left} != ({word}){fired.current.name}[n]"
    yield f"{INDENT}for (n = 0; n < {size}; n++) {{"
    yield f"{INDENT * 2}differs |= {differs};"
    yield f"{INDENT}}}"
    yield f"{INDENT}for (n = 0; differs && n < {size}; n++) {{"
    yield f"{INDENT * 2}if ({differs}) {{"
    yield f"{INDENT * 3}pisnn_violated(PISNN_FLUX, {number}, n);"
    yield f"{INDENT * 2}}}"
    yield f"{INDENT}}}"
    yield f"{INDENT}for (n = 0; n < {size}; n++) {{"
    yield f"{INDENT * 2}{fired.last_residue.name}[n] = {fired.residue.name}[n];"
    yield f"{INDENT}}}"
    yield "}"
    yield ""


def _fills_its_type(array: Array) -> bool:
    bits = int(array.type[3:-2])
    return array.bounds.lower == -(1 << bits - 1) and array.bounds.upper == (1 << bits - 1) - 1


def _call_within(array: Array, ends: tuple[str, str], kind: str, number: int, first: int) -> str:
    return f"pisnn_within_{array.type}({array.name}, {array.size}, {ends[0]}, {ends[1]}, {kind}, {number}, {first})"


def _checked_holders(plan: Plan, holders: Holders, checks: list[str]) -> Iterator[str]:
    """I2, the operating window of the cells, and the width of the ledgers."""
    number = plan.numbers[holders.field.holder]
    window, name = holders.field.window, holders.name
    for array, first in holders.parts:
        if array.size:
            checks.append(
                f"pisnn_equal_{array.type}({array.name}, {book_of(array).name}, {array.size}, {number}, {first})"
            )
    if holders.ledgers.size:
        bounds = holders.ledgers.bounds
        ends = literal(bounds.lower), literal(bounds.upper)
        checks.append(_call_within(holders.ledgers, ends, "PISNN_RANGE", number, holders.cells.size))
    if holders.field.holds_alike:
        ends = literal(window.lower), literal(window.upper)
        checks.append(_call_within(holders.cells, ends, "PISNN_RANGE", number, 0))
        return
    yield from array_of_values(f"{name}_inverse_volume", holders.field.inverse_volume)
    checks.append(f"{name}_check()")
    yield f"static void {name}_check(void)"
    yield "{"
    yield f"{INDENT}pisnn_index n;"
    yield f"{INDENT}for (n = 0; n < {holders.cells.size}; n++) {{"
    yield f"{INDENT * 2}const int64_t level = (int64_t){holders.cells.name}[n] * {name}_inverse_volume[n];"
    yield f"{INDENT * 2}if (level < {literal(window.lower)} || level > {literal(window.upper)}) {{"
    yield f"{INDENT * 3}pisnn_violated(PISNN_RANGE, {number}, n);"
    yield f"{INDENT * 2}}}"
    yield f"{INDENT}}}"
    yield "}"
    yield ""


def _joined(plan: Plan) -> list[list[Holders]]:
    """Sets of holders that channels join."""
    return [[plan.holder(field.holder) for field in part] for part in columns_of(plan.graph).joined]


def _sum_call(part: list[Holders]) -> str:
    return " + ".join(f"{holders.name}_sum()" for holders in part)


def sums(plan: Plan) -> Iterator[str]:
    """Function that adds up the mass of each field, ledgers included."""
    for holders in plan.holders:
        yield f"static int64_t {holders.name}_sum(void)"
        yield "{"
        yield f"{INDENT}pisnn_index n;"
        yield f"{INDENT}int64_t sum = 0;"
        for array, _ in holders.parts:
            if array.size:
                yield f"{INDENT}for (n = 0; n < {array.size}; n++) {{"
                yield f"{INDENT * 2}sum += {array.name}[n];"
                yield f"{INDENT}}}"
        yield f"{INDENT}return sum;"
        yield "}"
        yield ""


def _totals(plan: Plan, checks: list[str]) -> Iterator[str]:
    """I1 of each set of joined holders."""
    checks.append("pisnn_check_totals()")
    yield "static void pisnn_check_totals(void)"
    yield "{"
    for number, part in enumerate(_joined(plan)):
        yield f"{INDENT}if ({_sum_call(part)} != pisnn_total[{number}]) {{"
        yield f"{INDENT * 2}pisnn_violated(PISNN_GLOBAL, {plan.numbers[part[0].field.holder]}, 0);"
        yield f"{INDENT}}}"
    yield "}"
    yield ""


def total_count(plan: Plan) -> int:
    """Number of sets of joined holders."""
    return len(_joined(plan))

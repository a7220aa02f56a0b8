"""Rules on boards: whether an export of a graph fits a microcontroller or an FPGA."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pisnn_deploy.checks.rule import GRAPH, BoardSubject, Violation, board_rule


def _within(subject: BoardSubject, name: str) -> Iterator[Violation]:
    """Report a resource that is exceeded by the lower end of its estimate, or may be by the upper one."""
    use = next(use for use in subject.uses if use.resource.name == name)
    most, text, board = use.limit.value, use.resource.text, subject.profile.name
    low, high = use.amount.low, use.amount.high
    if most is None or low is None or high is None:
        message = f"not checked: no limit or estimate of {text} is published for {board}"
        yield Violation(GRAPH, None, None, message, "info")
        return
    least, needed = math.ceil(low), math.ceil(high)
    if least > most:
        some = "" if least == needed else "at least "
        yield Violation(GRAPH, least, most, f"it needs {some}{least} {text}, but {board} has {most}")
    elif needed > most:
        message = f"it needs {least} to {needed} {text}, and {board} has {most}"
        yield Violation(GRAPH, needed, most, message, "warning")


@board_rule("PD301", "flash")
def flash(subject: BoardSubject) -> Iterator[Violation]:
    """Code and tables take at most `memory.flash_bytes` bytes.

    Tables are counted in the C that `export --to c` writes. Code is estimated from the operations of the programs and
    the loops, with the figures of the section `code`; it includes the audit.

    Fix: use a coarser mesh or fewer tables, or a part with more flash.
    """
    yield from _within(subject, "flash")


@board_rule("PD302", "ram")
def ram(subject: BoardSubject) -> Iterator[Violation]:
    """States and the stack take at most `memory.ram_bytes` bytes.

    Every state takes the narrowest type that its proved width allows. The audit's arrays are included, and
    `memory.stack_bytes` for the stack.

    Fix: use a coarser mesh or fewer quanta per unit, or a part with more RAM. Without its audit (`-DPISNN_AUDIT=0`) the
    program takes less.
    """
    yield from _within(subject, "ram")


@board_rule("PD311", "logic-cells")
def logic_cells(subject: BoardSubject) -> Iterator[Violation]:
    """The circuit takes at most `fabric.cells` logic cells.

    The circuit is that of `export --to verilog --serial`, which computes one neuron after the other. Its cells are
    estimated from the bits that programs compute, with the figures of the section `circuit`; `make size` beside an
    export measures them.

    Fix: use a model with fewer operations or narrower values, or a larger part. The mesh hardly matters.
    """
    yield from _within(subject, "cells")


@board_rule("PD312", "block-memory")
def block_memory(subject: BoardSubject) -> Iterator[Violation]:
    """States, parameters and synapses take at most `fabric.block_memory_bits` bits.

    Each memory takes whole blocks. Tools may make small memories of cells instead.

    Fix: use a coarser mesh or a model with a smaller window, or a larger part.
    """
    yield from _within(subject, "block_memory")


@board_rule("PD313", "multipliers")
def multipliers(subject: BoardSubject) -> Iterator[Violation]:
    """Products take at most `fabric.multipliers` multipliers.

    A product of wide numbers may take several: one for each pair of parts of `circuit.multiplier_bits` bits. `make
    size` beside an export tells. Tools can also make multipliers of cells.

    Fix: use fewer quanta per unit, a law with fewer products, or a larger part.
    """
    yield from _within(subject, "multipliers")

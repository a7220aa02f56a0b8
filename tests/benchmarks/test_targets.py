"""The script of the page on targets: cycles of instructions, and figures that it writes into profiles of boards."""

from __future__ import annotations

import pytest

from benchmarks.parts.instructions import Instruction, cortex_m0_cycles
from benchmarks.targets import BOARDS, with_figures
from pisnn_deploy.target import Microcontroller, load_board

M0 = BOARDS / "cortex-m0.yaml"


def test_figures_replace_their_own_and_nothing_else() -> None:
    text = M0.read_text()
    board = load_board("cortex-m0")
    assert isinstance(board, Microcontroller)
    own = {
        f"{section}.{name}": (figure.value, figure.low, figure.high)
        for section, part in (("code", board.code), ("cycles", board.cycles))
        for name, figure in part
    }
    assert with_figures(text, own) == text
    changed = with_figures(text, {"cycles.operation": (1.5, 1.0, 2.0)})
    (line,) = set(changed.splitlines()) - set(text.splitlines())
    assert line.startswith("  operation: {value: 1.5, low: 1.0, high: 2.0, confidence:")


def test_a_figure_that_a_profile_lacks_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"cycles\.division: the profile has 0 figures"):
        with_figures(M0.read_text(), {"cycles.division": (1.0, 1.0, 1.0)})


@pytest.mark.parametrize(
    ("name", "operands", "went_on", "cycles"),
    [
        ("muls", "r0, r1", True, 1),
        ("ldr", "r0, [r1]", True, 2),
        ("strh", "r0, [r1]", True, 2),
        ("push", "{r4, r5, r6, lr}", True, 5),
        ("pop", "{r4, pc}", False, 6),
        ("bne", "10 <f>", False, 3),
        ("bne", "10 <f>", True, 1),
        ("bl", "10 <f>", False, 4),
        ("adds", "r0, r1", True, 1),
    ],
)
def test_cycles_of_the_cortex_m0(name: str, operands: str, went_on: bool, cycles: int) -> None:
    assert cortex_m0_cycles(Instruction(name, operands, 2, 0), went_on) == (cycles, cycles)

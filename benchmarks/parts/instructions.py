"""Instructions of a PDE step on microcontrollers, counted in qemu, and their cycles by the manufacturers' tables.

qemu executes one instruction at a time and logs its address; a branch was taken if the next address is not the one
behind it. The same program with twice as many PDE steps tells what a step adds. Waiting for memory is not counted.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import ROOT

HERE = Path(__file__).parent / "machines"
SUPPORT = ROOT / "tests" / "support" / "c_targets"
THERMOSTAT = ROOT / "examples" / "thermostat_on_cortex_m"
FLAGS = ("-std=c99", "-Os", "-ffreestanding", "-nostdlib", "-ffunction-sections", "-fdata-sections")
STEPS = 3
_LINE = re.compile(r"^ *([0-9a-f]+):\t([a-z][\w.]*)[ \t]*([^@#<;\n]*)", re.MULTILINE)
_EXECUTED = re.compile(rb"\[[0-9a-f]+/([0-9a-f]+)/")

Range = tuple[int, int]


@dataclass(frozen=True)
class Instruction:
    """An instruction of a program.

    Attributes
    ----------
    name : str
        Mnemonic without a suffix for its width.
    """

    name: str
    operands: str
    size: int
    address: int

    @property
    def registers(self) -> int:
        """Number of registers in the list of a transfer of several."""
        listed = re.search(r"{(.*)}", self.operands)
        count = 0
        for part in listed[1].split(",") if listed else ():
            first, _, last = (int(n) if n.isdigit() else 0 for n in re.sub("[^0-9-]", "", part).partition("-"))
            count += last - first + 1 if last else 1
        return count


@dataclass(frozen=True)
class Machine:
    """A machine in qemu.

    Attributes
    ----------
    tools : str
        Prefix of the compiler and its tools.
    flags, sources : tuple
        Flags of the compiler, and what a program needs besides the graph.
    simulator : tuple of str
        Command that runs the program whose name follows.
    cycles : callable
        Fewest and most cycles of an instruction, which was followed by the one behind it or not.
    """

    tools: str
    flags: tuple[str, ...]
    sources: tuple[Path, ...]
    simulator: tuple[str, ...]
    cycles: Callable[[Instruction, bool], Range]

    def compiled(self, folder: Path, source: Path, *defines: str) -> Path:
        """Compile a program of a graph in C, or of none; return its file."""
        program = folder / "program.elf"
        graph = [folder / "pisnn.c"] if "-DSTEPS" in " ".join(defines) else []
        command = [f"{self.tools}gcc", *self.flags, *FLAGS, "-Wl,--gc-sections", *defines, f"-I{folder}"]
        command += map(str, [*self.sources, source, *graph, "-lgcc", "-o", program])
        subprocess.run(command, check=True, capture_output=True)
        return program

    def sizes(self, program: Path) -> dict[str, int]:
        """Bytes of each section of a program."""
        listed = _output(f"{self.tools}size", "-A", str(program))
        return {
            words[0]: int(words[1])
            for words in map(str.split, listed.splitlines())
            if len(words) == 3 and words[1].isdigit()
        }

    def executed(self, program: Path) -> Counter[tuple[int, int]]:
        """How often each address was followed by each other one."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            trace = ["-singlestep", "-d", "exec,nochain", "-D", str(log)]
            command = [self.simulator[0], *trace, *self.simulator[1:], str(program)]
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
            addresses = [int(text, 16) for text in _EXECUTED.findall(log.read_bytes())]
        return Counter(zip(addresses, addresses[1:], strict=False))

    def listing(self, program: Path) -> dict[int, Instruction]:
        """Instructions of a program by address."""
        text = _output(f"{self.tools}objdump", "-d", "--no-show-raw-insn", str(program))
        instructions = [(int(at, 16), name, operands.strip()) for at, name, operands in _LINE.findall(text)]
        ends = [*(at for at, *_ in instructions[1:]), 0]
        return {
            at: Instruction(re.sub(r"\.[wn]$", "", name), operands, min(max(end - at, 2), 4), at)
            for (at, name, operands), end in zip(instructions, ends, strict=True)
        }


def measured(machine: Machine, files: Mapping[str, bytes]) -> dict[str, int]:
    """Bytes and cycles of a graph in C on a machine.

    Returns
    -------
    dict of str to int
        ``flash`` and ``ram`` in bytes with the audit, without the start of the machine and the stack; ``instructions``,
        ``fewest_cycles`` and ``most_cycles`` of a PDE step without the audit, and ``audited_cycles``, most cycles with
        it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        start = machine.sizes(machine.compiled(folder, HERE / "nothing.c"))
        sizes = machine.sizes(machine.compiled(folder, HERE / "count.c", "-DSTEPS=1", "-DPISNN_AUDIT=1"))
        added = {key: sizes.get(f".{key}", 0) - start.get(f".{key}", 0) for key in ("text", "data", "bss")}
        instructions, fewest, most = _of_a_step(machine, folder, "-DPISNN_AUDIT=0")
        *_, audited = _of_a_step(machine, folder, "-DPISNN_AUDIT=1")
    return {
        "flash": added["text"] + added["data"],
        "ram": added["data"] + added["bss"],
        "instructions": instructions,
        "fewest_cycles": fewest,
        "most_cycles": most,
        "audited_cycles": audited,
    }


def _of_a_step(machine: Machine, folder: Path, define: str) -> tuple[int, int, int]:
    """Instructions, fewest and most cycles that one more PDE step takes."""
    totals = []
    for steps in (STEPS, 2 * STEPS):
        program = machine.compiled(folder, HERE / "count.c", f"-DSTEPS={steps}", define)
        counts, listing = machine.executed(program), machine.listing(program)
        costs = [
            (count, machine.cycles(listing[at], following == at + listing[at].size))
            for (at, following), count in counts.items()
            if at in listing  # a simulator may start in a memory of its own
        ]
        totals.append(
            (
                sum(counts.values()),
                sum(count * low for count, (low, _) in costs),
                sum(count * high for count, (_, high) in costs),
            )
        )
    once, twice = totals
    instructions, fewest, most = (round((b - a) / STEPS) for a, b in zip(once, twice, strict=True))
    return instructions, fewest, most


def cortex_m0_cycles(instruction: Instruction, went_on: bool) -> Range:
    """Cycles of the nRF51822.

    Table 3-1 of ARM DDI 0432C; quoted at taisukef.github.io/asm15/armasm.pdf: transfers take 2 cycles, of N registers
    1 + N, with the program counter 4 + N, branches 3, the rest 1. No quotation of a call's 4 cycles was found. Whoever
    builds a chip chooses a multiplier of 1 cycle or of 32; Nordic's is "a single-cycle 32 bit multiplier" (nRF51 Series
    Reference Manual 3.0).
    """
    name = instruction.name
    if name.startswith(("ldm", "stm", "push", "pop")):
        cycles = 1 + instruction.registers + (3 if not went_on else 0)
        return cycles, cycles
    if name.startswith(("ldr", "str")):
        return 2, 2
    if name == "bl":
        return 4, 4
    return (1, 1) if went_on else (3, 3)


def cortex_m4_cycles(instruction: Instruction, went_on: bool) -> Range:
    """Table 3-1 of ARM 100166, quoted by TI (SWCU192, table 3-25).

    A taken branch refills the pipeline in 1 to 3 cycles, and transfers may overlap.
    """
    name = instruction.name
    refill = (0, 0) if went_on else (1, 3)
    if name.startswith(("ldm", "stm", "push", "pop", "ldrd", "strd")):
        cycles = 1 + (2 if name.startswith(("ldrd", "strd")) else instruction.registers)
        return cycles + refill[0], cycles + refill[1]
    if name.startswith(("ldr", "str")):
        return 1 + refill[0], 2 + refill[1]
    if name.startswith(("sdiv", "udiv")):
        return 2, 12
    if name.startswith("it"):
        return 0, 1
    return 1 + refill[0], 1 + refill[1]


def hazard3_cycles(instruction: Instruction, went_on: bool) -> Range:
    """Instruction timings of Hazard3's documentation; branches are predicted or not, loads are waited for or not."""
    name = instruction.name
    if name.startswith("b") or name in ("j", "jal", "jr", "jalr", "ret"):
        if went_on:
            return 1, 2
        return (1 if name.startswith("b") else 2), 3  # 3 if the target crosses a word
    if name in ("lw", "lh", "lhu", "lb", "lbu"):
        return 1, 2
    if name.startswith(("div", "rem")):
        return 18, 19
    return 1, 1


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _arm(core: str, script: Path) -> tuple[str, ...]:
    return (f"-mcpu={core}", "-mthumb", "-T", str(script), f"-I{THERMOSTAT}")


MACHINES: Mapping[str, Machine] = {
    "cortex-m0": Machine(
        "arm-none-eabi-",
        _arm("cortex-m0", THERMOSTAT / "microbit.ld"),
        (THERMOSTAT / "start.c", SUPPORT / "cortex_m0.c"),
        ("qemu-system-arm", "-machine", "microbit", "-nographic", "-semihosting", "-kernel"),
        cortex_m0_cycles,
    ),
    "cortex-m4": Machine(
        "arm-none-eabi-",
        _arm("cortex-m4", HERE / "stm32f405.ld"),
        (THERMOSTAT / "start.c", SUPPORT / "cortex_m0.c"),
        ("qemu-system-arm", "-machine", "netduinoplus2", "-nographic", "-semihosting", "-kernel"),
        cortex_m4_cycles,
    ),
    "rv32imc": Machine(
        "riscv64-unknown-elf-",
        ("-march=rv32imc", "-mabi=ilp32", "-Wl,-e,_start", "-T", str(SUPPORT / "rv32.ld")),
        (SUPPORT / "rv32.c",),
        ("qemu-system-riscv32", "-machine", "virt", "-nographic", "-bios", "none", "-kernel"),
        hazard3_cycles,
    ),
}
"""Machines by the name of their profile."""


def lines_of(machine: Machine, graph: Mapping[str, bytes], steps: int) -> Iterator[str]:
    """Run a graph with its self-test's hash; yield the lines that the machine prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in graph.items():
            (folder / file).write_bytes(content)
        program = machine.compiled(folder, SUPPORT / "run.c", f"-DSTEPS={steps}")
        command = [*machine.simulator, str(program)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        yield from (done.stdout + done.stderr).splitlines()

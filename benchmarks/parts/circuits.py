"""Circuits of graphs: what yosys makes of them, and the clock at which nextpnr routes them. Nothing runs on a board."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

LUT_BITS = {"SB_LUT4": 1, "LUT4": 1, "SB_CARRY": 0, "CCU2C": 2, "TRELLIS_DPR16X4": 6}
"""Lookup tables that a cell takes: a carry of an ECP5 is two of them, and memory of 16 words of 4 bits is six."""
MEMORIES, MULTIPLIERS = ("SB_RAM40_4K", "DP16KD"), ("SB_MAC16", "MULT18X18D")
FAMILIES: Mapping[str, str] = {"ice40-up5k": "synth_ice40 -dsp", "ecp5-25f": "synth_ecp5"}
"""Synthesis for the part of each profile."""
LONGEST = 420
"""Seconds before a tool is stopped."""


def synthesised(files: Mapping[str, bytes], profile: str) -> dict[str, int | float] | None:
    """Cells of a circuit, and its clock where nextpnr is for this part.

    Returns
    -------
    dict or None
        ``cells`` (lookup tables), ``registers``, ``memories`` (blocks), ``multipliers`` (blocks) and, for an iCE40 on
        which it fits, ``mhz``; None if yosys takes longer than `LONGEST`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        script = f"read_verilog pisnn.v chip.v; {FAMILIES[profile]} -top chip -json chip.json; tee -q -o stat stat"
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
        return figures | _routed(folder) if profile == "ice40-up5k" else figures


def _routed(folder: Path) -> dict[str, int | float]:
    """Clock in MHz and packed cells of a circuit on an UP5K; empty if it does not fit."""
    options = ["--up5k", "--package", "sg48", "--pcf-allow-unconstrained", "--json", "chip.json", "--seed", "1"]
    done = _ran(folder, "nextpnr-ice40", *options, "--report", "report.json")
    if done is None or not (folder / "report.json").exists():
        return {}
    report = json.loads((folder / "report.json").read_text())
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    return {"mhz": round(min(clocks), 1), "packed_cells": report["utilization"]["ICESTORM_LC"]["used"]}


def _ran(folder: Path, *command: str) -> str | None:
    """Output of a tool; None if it fails or takes too long."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None

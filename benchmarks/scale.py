"""Time, memory and file size of compiling large meshes: writes ``docs/results/scale.md``.

Run it from the root of a checkout: ``python -m benchmarks.scale``. Each mesh is compiled by the command in a separate
process, so that times and memory are what a user sees.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import COMMAND, PAGES, cores, line, load, page_parser, publish, table

PAGE = PAGES / "scale.md"
SIZES = (256, 512, 1024, 2048)
BOUNDARIES = ("periodic", "no-flux")
UNPLACED = (4096, 8192)
"""Sizes that are compiled with ``--placement none``, and not verified."""
LIMIT_SECONDS, LIMIT_BYTES = 10, 1.5e9
"""Goal for a million cells."""
LARGEST_BYTES = 24e9
"""Goal for the largest mesh."""
BEFORE = """# Large meshes

heat2d compiled for loihi2 by `pisnn-deploy compile`, and verified by `pisnn-deploy verify`: wall-clock times including
start-up, and peak memory of the process, on {cores} cores, load average {load} at the end. The last meshes are compiled
with `--placement none`.

"""
COLUMNS = (
    *("mesh", "boundary", "cells", "faces", "compile", "per million cells", "memory", "artifact", "verify", "memory"),
)
AFTER = """
{verdict}

Made by `python -m benchmarks.scale`.
"""


def run(*arguments: str) -> tuple[float, float, str]:
    """Run ``pisnn-deploy``; return seconds, peak memory in bytes, and output."""
    started = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed")
    return time.perf_counter() - started, usage.ru_maxrss * 1024.0, output


def row(size: int, boundary: str, folder: Path, *, is_placed: bool = True) -> tuple[str, dict[str, float]]:
    """Compile and verify a mesh; return a row of the table, and figures by name."""
    sys.stderr.write(f"{size} x {size} {boundary}\n")
    artifact = folder / "a.pisnn"
    mesh = ("--mesh", f"{size}x{size}", "--boundary", boundary, *(() if is_placed else ("--placement", "none")))
    seconds, memory, output = run("compile", "heat2d", *mesh, "-o", str(artifact), "--json")
    figures = json.loads(output)
    cells, faces, stored = figures["cells"], figures["faces"], artifact.stat().st_size
    verifying = ("", "")
    if is_placed:
        again, used, _ = run("verify", str(artifact), "-q")
        verifying = (f"{again:.1f} s", f"{used / 1e9:.2f} GB")
    compiling = (f"{seconds:.1f} s", f"{seconds / cells * 1e6:.1f} s", f"{memory / 1e9:.2f} GB")
    cut = (f"{size} x {size}", boundary, f"{cells:,}", f"{faces:,}")
    text = line(*cut, *compiling, f"{stored / 1e6:.1f} MB", *verifying)
    return text, {"cells": cells, "seconds": seconds, "bytes": memory}


def verdict(measured: list[dict[str, float]]) -> str:
    """Compare the figures with the goals."""
    million = [each for each in measured if each["cells"] == 1 << 20]
    slowest, widest = (max(each[name] for each in million) for name in ("seconds", "bytes"))
    largest = max(measured, key=lambda each: each["cells"])
    is_met = "met" if slowest <= LIMIT_SECONDS and widest <= LIMIT_BYTES else "missed"
    is_small = "met" if largest["bytes"] < LARGEST_BYTES else "missed"
    return (
        f"* A million cells take at most {slowest:.1f} s and {widest / 1e9:.2f} GB (goal {LIMIT_SECONDS} s and "
        f"{LIMIT_BYTES / 1e9:g} GB: {is_met}).\n"
        f"* {largest['cells']:,.0f} cells take {largest['bytes'] / 1e9:.1f} GB (goal less than "
        f"{LARGEST_BYTES / 1e9:g} GB: {is_small})."
    )


def main() -> None:
    """Compile, verify, write."""
    arguments = page_parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = [row(size, boundary, folder) for boundary in BOUNDARIES for size in SIZES]
        measured += [row(size, BOUNDARIES[0], folder, is_placed=False) for size in UNPLACED]
    rows, figures = (list(part) for part in zip(*measured, strict=True))
    before = BEFORE.format(cores=cores(), load=f"{load():.1f}")
    text = before + "\n".join(table(COLUMNS, rows)) + "\n" + AFTER.format(verdict=verdict(figures))
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()

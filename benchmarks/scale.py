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

from benchmarks.common import COMMAND, PAGES, cores, line, page_parser, publish, table

PAGE = PAGES / "scale.md"
SIZES = (256, 512, 1024, 2048)
BOUNDARIES = ("periodic", "no-flux")
LIMIT_SECONDS, LIMIT_BYTES = 60, 6e9
BEFORE = """# Large meshes

heat2d compiled for loihi2 by `pisnn-deploy compile`, and verified by `pisnn-deploy verify`: wall-clock times including
start-up, and peak memory of the process, on {cores} cores.

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


def main() -> None:
    """Compile, verify, write."""
    arguments = page_parser(__doc__).parse_args()
    rows, within = [], True
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "a.pisnn"
        for boundary in BOUNDARIES:
            for size in SIZES:
                sys.stderr.write(f"{size} x {size} {boundary}\n")
                mesh = ("--mesh", f"{size}x{size}", "--boundary", boundary)
                seconds, memory, output = run("compile", "heat2d", *mesh, "-o", str(artifact), "--json")
                figures = json.loads(output)
                again, used, _ = run("verify", str(artifact), "-q")
                if figures["cells"] == 1 << 20:
                    within &= seconds < LIMIT_SECONDS and memory < LIMIT_BYTES
                cells, faces, stored = figures["cells"], figures["faces"], artifact.stat().st_size
                compiling = (f"{seconds:.1f} s", f"{seconds / cells * 1e6:.1f} s", f"{memory / 1e9:.2f} GB")
                verifying = (f"{stored / 1e6:.1f} MB", f"{again:.1f} s", f"{used / 1e9:.2f} GB")
                rows.append(line(f"{size} x {size}", boundary, f"{cells:,}", f"{faces:,}", *compiling, *verifying))
    verdict = (
        f"A million cells in under {LIMIT_SECONDS} s and {LIMIT_BYTES / 1e9:.0f} GB: {'met' if within else 'missed'}."
    )
    text = BEFORE.format(cores=cores()) + "\n".join(table(COLUMNS, rows)) + "\n" + AFTER.format(verdict=verdict)
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()

"""Seconds that ``pisnn-deploy check`` takes, start-up included: writes ``docs/results/check.md``.

Run it from the root of a checkout: ``python -m benchmarks.check_speed``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "results" / "check.md"
ROUNDS = 3
CASES = (
    *(("heat1d", "128", "loihi2", 1.0), ("laplace2d", "64x64", "loihi2", 1.0)),
    *(("heat2d", "64x64", "hala_point", 1.0), ("heat2d", "1024x1024", "hala_point", 10.0)),
)


def ours(*words: str) -> float:
    """Wall-clock seconds of a command of ours."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pisnn_deploy.cli.main", *words], capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> int:
    """Measure, write."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for model, mesh, profile, goal in CASES:
            artifact = str(Path(folder) / f"{model}-{mesh}.pisnn")
            ours("compile", model, "--mesh", mesh, "--profile", profile, "-o", artifact)
            seconds = statistics.median(ours("check", artifact, "--profile", profile) for _ in range(ROUNDS))
            verdict = "yes" if seconds < goal else "no"
            lines.append(f"| {model} | {mesh} | {profile} | {seconds:.2f} s | {goal:g} s | {verdict} |")
            print(lines[-1], flush=True)
    table = "\n".join(lines)
    PAGE.write_text(
        f"""# Time of the check

`pisnn-deploy check ARTIFACT --profile PROFILE` with start-up and the verifier of the certificate: medians of {ROUNDS}
runs on {len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f} at the end.

| model | mesh | profile | time | goal | met |
| --- | --- | --- | --- | --- | --- |
{table}

Made by `python -m benchmarks.check_speed`.
""",
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Wall-clock time of ``pisnn-deploy check``, including start-up: writes ``docs/results/check.md``.

Run it from the root of a checkout: ``python -m benchmarks.check_speed``.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.common import PAGES, command, cores, line, load, page_parser, publish, seconds, table

PAGE = PAGES / "check.md"
ROUNDS = 3
CASES = (
    *(("heat1d", "128", "loihi2", 1.0), ("laplace2d", "64x64", "loihi2", 1.0)),
    *(("heat2d", "64x64", "hala_point", 1.0), ("heat2d", "1024x1024", "hala_point", 10.0)),
)


def main() -> None:
    """Measure, write."""
    arguments = page_parser(__doc__).parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model, mesh, profile, goal in CASES:
            artifact = str(Path(folder) / f"{model}-{mesh}.pisnn")
            command("compile", model, "--mesh", mesh, "--profile", profile, "-o", artifact)
            check = partial(command, "check", artifact, "--profile", profile)
            took = statistics.median(seconds(check) for _ in range(ROUNDS))
            verdict = "yes" if took < goal else "no"
            rows.append(line(model, mesh, profile, f"{took:.2f} s", f"{goal:g} s", verdict))
            sys.stderr.write(f"{rows[-1]}\n")
    lines = "\n".join(table(("model", "mesh", "profile", "time", "goal", "met"), rows))
    text = f"""# Time of `check`

Wall-clock time of `pisnn-deploy check ARTIFACT --profile PROFILE`, including start-up and verification: medians of
{ROUNDS} runs on {cores()} cores, load average {load():.1f} at the end.

{lines}

Made by `python -m benchmarks.check_speed`.
"""
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()

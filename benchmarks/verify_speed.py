"""Time of each part of ``pisnn-deploy verify`` on the zoo: writes ``docs/results/verify.md``.

Run it from the root of a checkout: ``python -m benchmarks.verify_speed``. It takes about two minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import PAGES, command, cores, line, load, page_parser, publish, table
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.project.zoo import laws, names
from pisnn_deploy.verify import check_certificate
from pisnn_deploy.verify.exactness import why_assumed
from pisnn_deploy.verify.kernel import check

PAGE = PAGES / "verify.md"
ROUNDS = 3
GOAL = 0.5
"""Seconds that kernel and checker may take together for a model of the zoo."""


def shortest(action: Callable[[], object]) -> float:
    """Shortest CPU time of an action over some rounds, in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def measured(artifact: Path) -> tuple[float, float, float]:
    """Seconds to read an artifact, for the kernel, and for the checker with the reasons of what is assumed."""

    def checker() -> None:
        findings = check_certificate(read.graph, read.altered)
        assert all(finding.holds for finding in findings)
        for finding in findings:
            why_assumed(read.graph, finding.claim)

    read = read_artifact(artifact)
    return shortest(lambda: read_artifact(artifact)), shortest(lambda: check(str(artifact))), shortest(checker)


def main() -> None:
    """Measure, write."""
    arguments = page_parser(__doc__).parse_args()
    rows, slow = [], []
    with tempfile.TemporaryDirectory() as folder:
        for model in sorted({*names(), *laws()}):
            artifact = Path(folder, f"{model}.pisnn")
            command("compile", model, "-o", str(artifact))
            seconds = measured(artifact)
            slow += [model] if sum(seconds[1:]) >= GOAL else []
            size = artifact.stat().st_size / 1000
            rows.append(line(model, f"{size:,.0f} kB", *(f"{each:.3f} s" for each in seconds)))
            sys.stderr.write(f"{rows[-1]}\n")
    lines = "\n".join(table(("model", "artifact", "read", "kernel", "checker"), rows))
    text = f"""# Time of `verify`

CPU time of the parts of `pisnn-deploy verify ARTIFACT` for each model and law of the zoo on its own mesh, without the
start of Python: the shortest of {ROUNDS} runs on one of {cores()} cores, load average {load():.1f} at the end.
Other work on the same cores makes all of them slower. The checker is all but the kernel. The goal is less than
{GOAL:g} s for both together; missed by: {", ".join(slow) or "none"}.

{lines}

Made by `python -m benchmarks.verify_speed`.
"""
    publish(PAGE, text, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()

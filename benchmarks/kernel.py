"""Measure the kernel of `verify`: seconds and memory on artifacts, and its verdicts on mutants beside the checker's.

    python -m benchmarks.kernel [--mutants 40] ARTIFACT ...

A mutant changes one thing of an artifact of the tests, and has a fresh seal.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pisnn_deploy.verify.standalone import standalone_checker

TESTS = Path(__file__).parents[1] / "tests"


def seconds_and_memory(artifact: Path) -> str:
    """Time and memory of the one-file checker in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "checker.py")
        script.write_text(standalone_checker())
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-I", script, artifact], capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"{artifact.name}: exit code {done.returncode}, {seconds:.2f} s, {after.ru_maxrss / 1024:.0f} MB at most so far"
    )


def campaign(count: int) -> int:
    """Print how kernel and checker judge mutants of each kind; return how often they contradict each other."""
    sys.path[:0] = [str(TESTS / "support"), str(TESTS / "verify")]
    from resealed import KINDS, mutant, written
    from test_kernel import GRAPHS, PROVED_BY_BOTH, check, members, verdict, wider

    contradictions = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            draw, judged = random.Random(f"campaign {kind}"), Counter[str]()
            for number in range(count * len(GRAPHS)):
                changed = mutant(members(list(GRAPHS)[number % len(GRAPHS)]), kind, draw)
                if changed is None:
                    continue
                path = written(Path(folder, "a.pisnn"), changed)
                (ours, text), (theirs, claim) = verdict(path), wider(path)
                judged["mutants"] += 1
                judged["refused by the kernel"] += bool(ours)
                judged["refused by the checker"] += bool(theirs)
                is_left = not ours and any("the bound of" in left for left in check(str(path)))
                if (ours and not theirs) or (not ours and claim in PROVED_BY_BOTH and not is_left):
                    judged["contradictions"] += 1
                    print(f"  {list(GRAPHS)[number % len(GRAPHS)]}: kernel {ours} {text}, checker {theirs} {claim}")
            contradictions += judged["contradictions"]
            print(f"{kind}: {dict(judged)}", flush=True)
    return contradictions


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=0, help="Mutants of each kind and artifact of the tests.")
    parser.add_argument("artifacts", nargs="*", type=Path)
    arguments = parser.parse_args()
    for artifact in arguments.artifacts:
        print(seconds_and_memory(artifact), flush=True)
    if arguments.mutants:
        sys.exit(campaign(arguments.mutants) > 0)


if __name__ == "__main__":
    main()

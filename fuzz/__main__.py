"""Fuzz every reader of untrusted files; ``make fuzz`` prepares the environment.

Run it from the root of a checkout: ``python -m fuzz``. It continues with the corpus of earlier runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path

from fuzz.engine import Judge, Prepared, Tally, counts_of_judge, prepare, run_target
from fuzz.page import page, read_tallies, table, write_tallies
from fuzz.target import ROOT, target_names
from pisnn_deploy.core.output import write_whole

BUILD = ROOT / "build" / "fuzz"
MISSING = "fuzzing needs atheris, which runs on Python 3.11 to 3.13: make fuzz"


def main() -> int:
    """Fuzz and report findings.

    Returns
    -------
    int
        0; 1 with offending inputs; 2 without atheris.
    """
    words = _words()
    is_counted = not words.seeds_only and not words.input
    if is_counted and importlib.util.find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 2
    prepared = prepare([words.input[0]] if words.input else words.only or target_names(), counted=is_counted)
    if words.input:
        return _show(prepared[0], Path(words.input[1]))
    words.folder.mkdir(parents=True, exist_ok=True)
    state = words.folder / "tallies.json"
    tallies = read_tallies(state)
    until = time.monotonic() + 60 * words.minutes
    while True:
        for each in prepared:
            seconds = 0 if words.seeds_only else words.seconds
            tally = run_target(each, seconds, words.folder / each.name, words.seed, words.inputs)
            tallies[each.name] = tallies.get(each.name, Tally.none()).added(tally)
            write_tallies(state, tallies)
            for file_name, offence in tally.offences.items():
                print(f"{words.folder / each.name / 'offending' / file_name}: {offence}", flush=True)
        if time.monotonic() > until:
            break
    print(table(tallies))
    if words.page is not None:
        security = os.path.relpath(next((ROOT / "docs").rglob("security.md")), words.page.parent)
        write_whole(words.page, page(tallies, security).encode())
    return int(any(tally.offences for tally in tallies.values()))


def _words() -> argparse.Namespace:
    names = target_names()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="time of each target in a round (default: 30)")
    parser.add_argument("--inputs", type=int, default=-1, help="inputs of each target in a round (default: no limit)")
    parser.add_argument("--minutes", type=float, default=0.0, help="rounds go on for so long (default: one round)")
    parser.add_argument("--only", action="append", choices=names, help="a target; may be repeated (default: all)")
    parser.add_argument(
        "--folder", type=Path, default=BUILD, help="where corpus and findings are (default: build/fuzz)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer (default: the time)")
    parser.add_argument("--page", type=Path, help="write the page of results")
    parser.add_argument("--seeds-only", action="store_true", help="judge the seeds alone, without atheris")
    parser.add_argument("--input", nargs=2, metavar=("TARGET", "FILE"), help="judge one file")
    return parser.parse_args()


def _show(prepared: Prepared, file: Path) -> int:
    """Judge one file and print the outcome."""
    content = file.read_bytes()
    with tempfile.TemporaryDirectory(prefix="pisnn-fuzzing-") as work:
        os.chdir(work)
        judge = Judge(prepared.target, Path(work, prepared.target.file_name), Path(work), counts_of_judge())
        for seed in prepared.made:
            judge.warm_up(seed)
        judge.begin(Path(work))
        outcome = judge(content)
    print(f"{outcome.verdict}: {outcome.text}" if outcome.text else outcome.verdict)
    return int(outcome.verdict == "offending")


if __name__ == "__main__":
    sys.exit(main())

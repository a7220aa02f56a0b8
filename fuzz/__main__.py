"""Fuzz every parser of untrusted files and write ``docs/results/fuzzing.md``.

Run it from the root of a checkout: ``python -m fuzz``. It goes on where it was interrupted; inputs depend
on the seed and their number alone. ``--input PARSER NUMBER`` shows what becomes of one input and keeps its file.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fuzz.guard import LARGEST_GROWTH, LARGEST_SECONDS, Guard
from fuzz.harness import Tally, fuzz, input_of
from fuzz.parsers import PARSERS, Parser
from pisnn_deploy.core.output import write_whole

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "fuzzing.md"
STATE = ROOT / "build" / "fuzzing.json"
INPUTS = 7500
BEFORE = """# Fuzzing

Every parser of files that may come from anyone ([security.md](../explanation/security.md)), driven with
mutations of real files: bits, cuts, splices, members of archives, fields of JSON and YAML, headers of arrays, pickles;
artifacts also with run lengths, boxes, starts of rows, bounds and names that no graph has, and text that is no
UTF-8, sealed again so that the checker sees them; and with names of files that steer terminals and CIs. An input is
*offending*
if it ends in anything but acceptance or one line with exit code 2, takes more than {seconds:g} s of processor time or
{memory} MiB of memory, opens a file beside its own folder, writes outside of it, runs a program, prints, or
warns. An accepted artifact is shown by `inspect`, proved again by `verify`, judged by `check`, and runs three PDE steps
on `fast`; an accepted recording or state of training is resumed.

| parser | inputs | accepted | refused | offending | most seconds | most memory |
| --- | --- | --- | --- | --- | --- | --- |
"""
AFTER = """
Seed {seed}, Python {python}. Made by `python -m fuzz`; `make test` runs a few hundred inputs of another
seed.
"""


def table(tallies: Mapping[str, Tally]) -> str:
    """Rows of the page, and their sums."""
    total = Tally()
    rows = []
    for name, tally in tallies.items():
        for count in ("inputs", "accepted", "refused", "offending"):
            setattr(total, count, getattr(total, count) + getattr(tally, count))
        total.seconds, total.growth = max(total.seconds, tally.seconds), max(total.growth, tally.growth)
        rows.append(_row(name, tally))
    return "\n".join([*rows, _row("all", total)])


def _row(name: str, tally: Tally) -> str:
    counts = " | ".join(f"{n:,}" for n in (tally.inputs, tally.accepted, tally.refused, tally.offending))
    return f"| {name} | {counts} | {tally.seconds:.2f} | {tally.growth / 2**20:.0f} MiB |"


def show(parser: Parser, seed: int, number: int) -> None:
    """What becomes of one input."""
    folder = Path(tempfile.mkdtemp(prefix="pisnn-fuzzing-"))
    os.chdir(folder)
    seeds = parser.seeds(folder)
    path = folder / parser.file_name
    path.write_bytes(seeds[0])
    parser.parse(path)
    path.write_bytes(input_of(parser, seeds, seed, number))
    print(f"{path}: {Guard(folder).judge(parser.parse, path)}")


def main() -> None:
    """Fuzz, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=INPUTS, help="for a parser of weight 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=[p.name for p in PARSERS], help="may be repeated")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--input", nargs=2, metavar=("PARSER", "NUMBER"), help="judge one input and keep it")
    parser.add_argument("--dry-run", action="store_true", help="print only, keep nothing")
    arguments = parser.parse_args()
    if arguments.input:
        show({p.name: p for p in PARSERS}[arguments.input[0]], arguments.seed, int(arguments.input[1]))
        return
    chosen = [p for p in PARSERS if not arguments.only or p.name in arguments.only]
    state = None if arguments.dry_run else STATE
    STATE.parent.mkdir(exist_ok=True)
    tallies = fuzz(chosen, arguments.inputs, arguments.seed, state, arguments.processes)
    ordered = {p.name: tallies[p.name] for p in PARSERS if p.name in tallies}
    text = BEFORE.format(seconds=LARGEST_SECONDS, memory=LARGEST_GROWTH >> 20) + table(ordered) + "\n"
    text += AFTER.format(seed=arguments.seed, python=platform.python_version())
    print(text)
    for name, tally in ordered.items():
        for number, offence in tally.offences.items():
            print(f"{name} {number}: {offence}")
    if not (arguments.dry_run or arguments.only):
        write_whole(PAGE, text.encode())
    sys.exit(any(tally.offending for tally in tallies.values()))


if __name__ == "__main__":
    main()

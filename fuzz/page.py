"""The page of results: what each target was given, and what was found."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from fuzz.engine import Tally
from fuzz.oracle import LARGEST_GROWTH, LARGEST_SECONDS
from fuzz.target import SEEDS
from pisnn_deploy.core.output import write_whole

FOUND = SEEDS / "found.json"
"""What the fuzzing found: target, committed input, what happened, and what was done."""
PAGE = """# Fuzzing

Each reader of files that may come from anyone ([security.md]({security})) has a target in `fuzz/targets`, driven by
[atheris](https://github.com/google/atheris): libFuzzer changes inputs, keeps those that reach a branch of
`pisnn_deploy` that no other reached, and changes these again. Where bytes changed at random would not get past a
checksum or a hash (archives, sealed artifacts, arrays), mutations take the file apart and put it together again.

An input is *offending* if its reader raises anything but the one-line error with exit code 2; takes more than
{seconds:g} s of processor time or {memory} MiB of memory; opens a file beside its own folder, writes outside of it,
starts a program, connects, prints or warns; or if what it accepts is not well formed, or reads differently once it
is written. An accepted artifact is shown by `inspect`, proved by `verify`, judged by `check`, and runs three PDE
steps in numpy; of a network in the format of others its own library must give the answers of the one that was
read; a program is read by the compiler's reader and by the checker's, and both must compute the same.

| target | minutes | of a processor | inputs | accepted | refused | branches | corpus | slowest | memory | offending |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

Minutes are those that libFuzzer had, by the clock and of a processor that had other work; branches are those reached
of `pisnn_deploy`, corpus the inputs kept for them, slowest the processor seconds of one input, memory what one input
added. Python {python}, atheris {atheris}; made by `make fuzz`. `make test` runs each target for 2 s.

## What was found

Each input is kept in `fuzz/seeds` and judged first in every run.

| target | what happened | what was done |
| --- | --- | --- |
{found}

"""


def read_tallies(path: Path) -> dict[str, Tally]:
    """Tallies of earlier runs by target; none without such a file."""
    if not path.exists():
        return {}
    return {name: Tally(**facts) for name, facts in json.loads(path.read_text()).items()}


def write_tallies(path: Path, tallies: Mapping[str, Tally]) -> None:
    """Keep tallies for the next run."""
    write_whole(path, json.dumps({name: asdict(tally) for name, tally in tallies.items()}, indent=1).encode())


def table(tallies: Mapping[str, Tally]) -> str:
    """A row for each target, and one of their sums."""
    rows = [_row(name.replace("_", " "), tally) for name, tally in sorted(tallies.items())]
    total = Tally.none()
    for tally in tallies.values():
        total = total.added(tally)
    sums = [f"{total.seconds / 60:.1f}", f"{total.processor / 60:.1f}", f"{total.executions:,}"]
    sums += [f"{total.accepted:,}", f"{total.refused:,}"]
    offending = sum(len(tally.offences) for tally in tallies.values())
    return "\n".join([*rows, f"| all | {' | '.join(sums)} | | | | | {offending} |"])


def _row(name: str, tally: Tally) -> str:
    counts = f"{tally.executions:,} | {tally.accepted:,} | {tally.refused:,} | {tally.edges:,} | {tally.corpus:,}"
    most = f"{tally.slowest:.2f} s | {tally.growth / 2**20:.0f} MiB"
    minutes = f"{tally.seconds / 60:.1f} | {tally.processor / 60:.1f}"
    return f"| {name} | {minutes} | {counts} | {most} | {len(tally.offences)} |"


def page(tallies: Mapping[str, Tally], security: str) -> str:
    """Text of the page.

    Parameters
    ----------
    security : str
        Address of the page on security, relative to this one.
    """
    rows = (f"| {entry['target'].replace('_', ' ')} | {entry['happened']} | {entry['done']} |" for entry in findings())
    return PAGE.format(
        security=security,
        seconds=LARGEST_SECONDS,
        memory=LARGEST_GROWTH >> 20,
        rows=table(tallies),
        python=platform.python_version(),
        atheris=version("atheris"),
        found="\n".join(rows),
    )


def findings() -> list[dict[str, str]]:
    """What was found so far."""
    entries: list[dict[str, str]] = json.loads(FOUND.read_text())
    return entries

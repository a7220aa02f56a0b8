"""Results page: inputs of each target, and findings."""

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
"""Findings: target, committed input, what happened, and the fix."""
PAGE = """# Fuzzing

Each reader of untrusted files ([security.md]({security})) has a target in `fuzz/targets`, driven by
[atheris](https://github.com/google/atheris): libFuzzer mutates inputs and keeps those that reach new branches of
`pisnn_deploy`. Where random bytes would not get past a checksum or a hash (archives, sealed artifacts, arrays),
mutations take the file apart and put it together again.

An input is *offending* if its reader raises anything but the one-line error with exit code 2; takes more than
{seconds:g} s of processor time or {memory} MiB of memory; opens or writes a file outside its own folder,
starts a program, connects, prints or warns; or if an accepted input is malformed, or differs after it is written and
read again. An accepted artifact must pass through `inspect`, `verify`, `check` and three PDE steps in numpy; an
imported network must agree with its own library; a program must mean the same to the readers of the compiler and of
the checker.

| target | minutes | CPU minutes | inputs | accepted | refused | branches | corpus | slowest | memory | offending |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

Minutes are wall-clock time on a machine with other work, and processor time of libFuzzer. *Branches* counts those of
`pisnn_deploy` that were reached, *corpus* the inputs kept for them, *slowest* the processor time of the slowest input,
*memory* the largest growth by one input. Python {python}, atheris {atheris}; made by `make fuzz`.
`make test` runs 400 inputs of each target.

## Findings

Each input is kept in `fuzz/seeds` and judged first in every run.

| target | what happened | fix |
| --- | --- | --- |
{found}

"""


def read_tallies(path: Path) -> dict[str, Tally]:
    """Tallies of earlier runs by target; empty without a file."""
    if not path.exists():
        return {}
    return {name: Tally(**facts) for name, facts in json.loads(path.read_text()).items()}


def write_tallies(path: Path, tallies: Mapping[str, Tally]) -> None:
    """Keep tallies for the next run."""
    write_whole(path, json.dumps({name: asdict(tally) for name, tally in tallies.items()}, indent=1).encode())


def table(tallies: Mapping[str, Tally]) -> str:
    """Rows of the targets and of their sums."""
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
    """Findings so far."""
    entries: list[dict[str, str]] = json.loads(FOUND.read_text())
    return entries

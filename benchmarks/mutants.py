"""Mutants judged by `verify`, its kernel and the checker extracted from the proofs: writes ``docs/results/mutants.md``.

Run it from the root of a checkout with ``python -m benchmarks.mutants``, after ``make proofs``. It takes about half an
hour on a core; verdicts are kept in ``build/results``, so that a second run only judges what is missing.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import BUILD, PAGES, ROOT, line, page_parser, publish, table

sys.path.insert(0, str(ROOT / "tests" / "support"))

from mutants import ARTIFACTS, KINDS, Verdict, disagreement, judged, kernel_apart

PAGE = PAGES / "mutants.md"
SLOW = {"floor", "floor and ceiling", "Lava's processes", "runs of numbers", "law: Gray-Scott"}
"""Artifacts that take long to judge."""
JOBS = (
    *((name, 500 if name in SLOW else 400, 20) for name in ARTIFACTS),
    *((name, 1200, 19) for name in ARTIFACTS if name not in SLOW),
)
"""Artifact, number of mutants that are judged by both, and seed."""


def file_of(name: str, count: int, seed: int) -> Path:
    """File of the verdicts of a job."""
    return BUILD / f"mutants_{name.replace(' ', '_').replace(':', '')}_{count}_{seed}.json"


def kept(name: str, count: int, seed: int) -> list[Verdict]:
    """Verdicts on the mutants of an artifact, from an earlier run if there was one."""
    file = file_of(name, count, seed)
    if not file.exists():
        with tempfile.TemporaryDirectory() as folder:
            verdicts = judged(name, count, seed, Path(folder))
        BUILD.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(verdict) for verdict in verdicts]))
    return [Verdict(**plain) for plain in json.loads(file.read_text())]


def _row(name: str, verdicts: Sequence[Verdict]) -> str:
    judged_ones = [verdict for verdict in verdicts if verdict.is_read]
    reasons = [disagreement(verdict) for verdict in judged_ones]
    return line(
        name,
        len(verdicts),
        len(verdicts) - len(judged_ones),
        len(judged_ones),
        sum(bool(verdict.refusals) for verdict in judged_ones),
        sum(bool(verdict.kernel) for verdict in judged_ones),
        sum(bool(verdict.extracted) for verdict in judged_ones),
        sum(not kernel_apart(verdict) for verdict in judged_ones),
        sum(bool(verdict.extracted) and not verdict.refusals for verdict in judged_ones),
        sum(reason.startswith("only verify") for reason in reasons),
    )


COLUMNS = (
    "",
    "mutants",
    "not read",
    "judged by all",
    "`verify` refuses",
    "kernel refuses",
    "extracted refuses",
    "kernel and extracted agree",
    "extracted refuses, `verify` accepts",
    "`verify` alone refuses a bound or route",
)


def page(verdicts: dict[str, list[Verdict]]) -> str:
    """Text of the page."""
    every = [verdict for of_one in verdicts.values() for verdict in of_one]
    by_kind = {kind: [verdict for verdict in every if verdict.kind == kind] for kind in KINDS}
    alone = Counter(
        f"{verdict.kind}: {disagreement(verdict).partition(': ')[2].split(' ranges')[0]}"
        for verdict in every
        if disagreement(verdict).startswith("only verify")
    )
    only = [verdict for verdict in every if disagreement(verdict).startswith("only the extracted")]
    lines = [
        "# Mutants: three checkers, one verdict",
        "",
        "Made by `python -m benchmarks.mutants`. Each mutant is a small artifact with one number, word or line of a",
        "program changed, and fresh hashes. `verify` judges the whole file; in these tables it is all but the kernel.",
        "The kernel is the file that `verify --checker` writes. The checker that is extracted from the",
        "[proofs](../explanation/machine_checked.md) judges a plain form: routes, programs, bounds and widths, not",
        "what the integers mean; so most of what `verify` alone refuses changes another claim. *Not read* are files",
        "that the reader refuses before any proof, so they have no plain form. What all accept are weaker bounds,",
        "starts, names and the like; `tests/verify` requires that no change of the meaning is among them.",
        "",
        "## By kind of change",
        "",
        *table(
            COLUMNS,
            [*(_row(kind, of_kind) for kind, of_kind in by_kind.items() if of_kind), _row("all", every)],
        ),
        "",
        "## By artifact",
        "",
        *table(COLUMNS, [_row(name, of_one) for name, of_one in verdicts.items() if of_one]),
        "",
        *_of_kernel([verdict for verdict in every if verdict.is_read]),
        "## `verify` and the extracted checker",
        "",
        f"Mutants that `verify` accepts and the extracted checker refuses: {len(only)}.",
        *(f"* {verdict.kind}, {verdict.where}: {disagreement(verdict)}" for verdict in only[:20]),
        "",
        "Mutants of which `verify` alone refuses a bound or a route that a plain form has:",
        f"{sum(alone.values())}. Here the extracted checker proves more: it bounds each neuron by itself and by cases,",
        "where `verify` takes the widest inputs of neurons that are alike and knows a few patterns of states.",
        "",
        *table(("changed, and refused", "mutants"), [line(what, count) for what, count in alone.most_common(25)]),
        "",
    ]
    return "\n".join(lines)


def _of_kernel(judged_ones: Sequence[Verdict]) -> list[str]:
    """Section on the kernel and the extracted checker."""
    reasons = Counter(_shortened(kernel_apart(verdict)) for verdict in judged_ones if kernel_apart(verdict))
    of_why = Counter[str]()
    for reason, count in reasons.items():
        of_why[reason.partition(": ")[0]] += count
    alone = [verdict for verdict in judged_ones if verdict.kernel and not verdict.refusals]
    return [
        "## Kernel and extracted checker",
        "",
        "Both decide that holders only add, that each packet goes from one end of its channel to the other, that",
        "bounds fit their bits, that masses are within their bound, and that each declared value of a program is",
        "within its bound. They *agree* on a mutant if both refuse it or both accept it:",
        f"{sum(not kernel_apart(verdict) for verdict in judged_ones)} of {len(judged_ones)}. The others, by why:",
        "",
        "* *no part of a plain form*: the kernel refuses a claim that plain forms do not have, such as figures of the",
        "  certificate, payloads, products, accumulators, ledgers, odd mantissas, and bounds that are missing;",
        "* *left out by the kernel*: the extracted checker refuses a bound that the kernel lists as not proved, for it",
        "  has no theorem on constant sides or on changes. `verify` checks these bounds;",
        "* *proved by the extracted checker alone*: it bounds each neuron by itself and by cases, the kernel together",
        "  those that are alike, and masses by fractions where volumes differ. `verify` refuses these too;",
        "* *from a bound that is wider*: the kernel takes the declared bound of what a channel sends, the others",
        "  compute it. So if that bound is widened and one that follows from it is not, the kernel alone refuses;",
        "* *no masses in the window*: sides differ by more than neighbours may, so that bounds have no meaning.",
        "",
        f"Mutants on which they contradict each other: {sum(n for why, n in of_why.items() if why[:5] == 'unexp')}.",
        f"Mutants that the kernel refuses and all else of `verify` accepts: {len(alone)}.",
        "",
        *table(("why", "mutants"), [line(*item) for item in of_why.most_common()]),
        "",
        *table(("what only one refuses", "mutants"), [line(*item) for item in reasons.most_common(25)]),
        "",
    ]


def _shortened(reason: str) -> str:
    """A reason without names and numbers."""
    text = re.sub(r"\{.*|ranges.*", "", reason)
    text = re.sub(r"(widths: (?:the bound of |state )?)\S+", r"\1...", text)
    return re.sub(r"[-\w]*\d[-\w]*|(?<= in )\S+$", "...", text).strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge the mutants and write the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--kept", action="store_true", help="judge no more mutants: the page is of what is kept")
    asked = parser.parse_args(arguments)
    jobs = [job for job in JOBS if not asked.kept or file_of(*job).exists()]
    with multiprocessing.Pool(asked.processes) as pool:
        judged = pool.starmap(kept, jobs, chunksize=1)
    verdicts: dict[str, list[Verdict]] = {name: [] for name in ARTIFACTS}
    for (name, _, _), some in zip(jobs, judged, strict=True):
        verdicts[name] += some
    publish(PAGE, page(verdicts), dry_run=asked.dry_run)


if __name__ == "__main__":
    main()

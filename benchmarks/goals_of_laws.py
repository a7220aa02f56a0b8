"""Errors, conservation and equality of backends for all laws: writes ``docs/results/goals_of_laws.md``.

Run it from the root of a checkout: ``python -m benchmarks.goals_of_laws``. What was measured before is kept under
``build/results/laws`` and taken from there; ``--again`` measures anew. Measurements run one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.common import PAGES, line, page_parser, publish, table
from benchmarks.laws import FIGURES, LONG, WORD
from benchmarks.parts.law_measures import EXAMPLE_NAMES, LAVA_STEPS, MEASURES, measured, path_of
from pisnn_deploy.project import zoo

PAGE = PAGES / "goals_of_laws.md"
Figures = dict[str, Any]
Measured = Mapping[str, Figures]
"""Figures by key of `MEASURES`."""


def _figures(known: Measured) -> Iterator[Figures]:
    for name in (*FIGURES, *LONG):
        yield from known.get(f"figure {name}", {"rows": ()})["rows"]


def goals(known: Measured) -> list[str]:
    """Table of the figures of `benchmarks.laws`."""
    rows = []
    for row in _figures(known):
        verdict = "yes" if row["reached"] else "**no**"
        cells = [row["name"], row["mesh"], row["steps"], row["measure"]]
        cells += [_number(row, "error"), _number(row, "goal"), verdict, row["compared"], row["drift"], row["bits"]]
        rows.append(line(*cells))
    heads = ("law", "mesh", "PDE steps", "measure", "integers", "goal", "reached", "beside it", "drift", "bits")
    return table(heads, rows)


def _number(row: Figures, key: str) -> str:
    return f"{row[key]:.0f}" if row["measure"] == "quanta moved" else f"{row[key]:.2e}"


def backends(known: Measured) -> list[str]:
    """Table of runs on Lava, compared with `fast`."""
    rows = []
    for name in (*zoo.laws(), *EXAMPLE_NAMES):
        run = known.get(f"lava {name}")
        if run is None:
            continue
        problems = [run["different"], *run["failures"]]
        if run["steps"] != LAVA_STEPS:
            problems.append(f"ended after {run['steps']}")
        problem = "; ".join(filter(None, problems))
        verdict = f"**no**: {problem}" if problem else f"yes, {run['integers']}"
        rows.append(
            line(name, run["mesh"], run["neurons"], run["coding"], run["steps"], verdict, f"{run['seconds']:.0f} s")
        )
    return table(("law", "mesh", "neurons", "coding", "PDE steps", "equal integers", "time"), rows)


def examples(known: Measured) -> list[str]:
    """Table of the laws outside the zoo."""
    rows = []
    for name in EXAMPLE_NAMES:
        run = known[f"example {name}"]
        errors = ", ".join(f"{field} {error:.1e}" for field, error in run["errors"].items())
        own = ", ".join(f"{error:.0e}" for error in run["known_to"].values())
        seconds = (f"{run['seconds'][part]:.1f} s" for part in ("compile", "verify", "simulate"))
        verified = "yes" if run["verified"] else "**no**"
        rows.append(
            line(name, run["mesh"], run["steps"], run["verdict"], run["drift"], verified, errors, own, *seconds)
        )
    heads = ("recipe", "mesh", "PDE steps", "verdict", "drift", "verified", "relative L2 error", "known to a cell")
    return table((*heads, "compile", "verify", "simulate"), rows)


def melted(known: Measured) -> str:
    """Sentence on the exact solution of the melting ice."""
    exact = known["example melting"]["exact"]
    return (
        "The melting ice has an exact solution, Neumann's. Beside it, the relative L1 error of the cells' heat is "
        f"{exact['l1']:.1e}, and that of the heat that came in {exact['heat']:.1e}."
    )


def missed(known: Measured) -> str:
    """Sentence on the goals that are not reached."""
    missing = [key for key in MEASURES if key not in known]
    last = f" Not measured: {', '.join(missing)}." if missing else ""
    names = [row["name"] for row in _figures(known) if not row["reached"]]
    return (f"Not reached: {', '.join(names)}." if names else "All goals are reached.") + last


def page(known: Measured) -> str:
    """Format the page."""
    return "\n".join(
        [
            "# Goals of laws",
            "",
            "Any conservation law can be written down as a recipe, and is compiled to integers: see the [reference](../"
            "reference/laws.md) and the [tutorial](../tutorials/a_law_of_your_own.md). Here, the laws of the zoo and "
            "those of [examples/laws](../../examples/laws/README.md) are measured. All are constructed.",
            "",
            "## Errors",
            "",
            "L1 and L2 are relative differences to an exact solution, or to the solver on a finer grid; *L2 to float* "
            "is that to float64 in the same scheme from the same start. *Drift* is the largest change of the sum of a "
            "joined set of holders, ledgers included, in quanta; *bits* is the proved width of the widest state or "
            f"payload. A goal is reached if the error is at most the goal, the drift 0, and the width at most {WORD} "
            f"bits. {missed(known)}",
            "",
            *goals(known),
            "",
            "## Equality on Lava",
            "",
            f"The first {LAVA_STEPS} PDE steps on Lava's processes (`cpu`) and on `fast`: masses, ledgers, packets, "
            "currents and residues of every PDE step are compared. The time is that of both runs.",
            "",
            *backends(known),
            "",
            "## Laws outside the zoo",
            "",
            "From recipe to verified run on `fast`, to the final time. The reference is the solver on a grid four "
            "times finer, with its own largest error of a cell average. Times include that solver.",
            "",
            *examples(known),
            "",
            melted(known),
            "",
            "Made by `python -m benchmarks.goals_of_laws`.",
            "",
        ]
    )


def main() -> None:
    """Measure what is missing, and write."""
    parser = page_parser(__doc__)
    parser.add_argument("--again", action="store_true", help="measure everything anew")
    parser.add_argument("--only", choices=MEASURES, action="append", help="measure this anew, and write no page")
    parser.add_argument("--kept", action="store_true", help="measure nothing; the page says what is missing")
    arguments = parser.parse_args()
    for key in arguments.only or (MEASURES if arguments.again else ()):
        path_of(key).unlink(missing_ok=True)
    if arguments.only:
        for key in arguments.only:
            measured(key)
        return
    keys = [key for key in MEASURES if not arguments.kept or path_of(key).exists()]
    publish(PAGE, page({key: measured(key) for key in keys}), dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()

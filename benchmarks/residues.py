"""Faces that see residues, and moments in integers first: writes ``docs/results/residues.md``.

Run it from the root of a checkout with ``python -m benchmarks.residues``. It takes about six minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import pisnn_deploy as pd
from benchmarks.common import PAGES, fill, line, page_parser, publish, table
from benchmarks.parts.seen_residues import (
    COST_COLUMNS,
    INJECTIONS,
    MATERIAL_COLUMNS,
    SPEED_COLUMNS,
    cost_rows,
    faults,
    material_rows,
    speed_rows,
)
from pisnn_deploy.compiler.options import GraphKeywords
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.graph.semantics import Semantics
from pisnn_deploy.verify import check_certificate

PAGE = PAGES / "residues.md"
PERIOD = 1.0


@dataclass(frozen=True)
class Case:
    """A compilation whose error has a goal.

    Attributes
    ----------
    goal : float or None
        Largest error; None for what a goal is compared with.
    steps : int or None
        Most PDE steps, if the goal says so.
    slope : float or None
        Value of ``--slope``.
    """

    model: str
    options: GraphKeywords = field(default_factory=GraphKeywords)
    goal: float | None = None
    steps: int | None = None
    slope: float | None = None

    @property
    def command(self) -> str:
        """The command that a user types."""
        words = [f"--{name} {value}" for name, value in self.options.items()]
        words += [] if self.slope is None else [f"--slope {self.slope:g}"]
        return " ".join(["compile", self.model, *words])


CASES: tuple[Case, ...] = (
    Case("heat1d"),
    Case("heat1d", {"kernels": "any"}, 3.3e-7),
    Case("heat1d", {"residues": "seen"}),
    Case("heat1d", {"residues": "seen", "kernels": "long"}, 1.2e-7, 120),
    Case("heat1d", {"residues": "seen", "kernels": "any"}),
    Case("heat2d"),
    Case("heat2d", {"residues": "seen"}),
    Case("laplace2d", slope=4.0),
    Case("laplace2d", {"kernels": "any"}, 4.3e-5, slope=4.0),
    Case("laplace2d", {"residues": "seen"}, slope=4.0),
    Case("laplace2d", {"residues": "seen", "kernels": "any"}, 7.7e-6, 362, slope=4.0),
    Case("advection_diffusion1d"),
    Case("advection_diffusion1d", {"kernels": "any"}),
    Case("advection_diffusion1d", {"residues": "seen", "kernels": "any"}),
    Case("burgers1d"),
    Case("burgers1d", {"residues": "auto"}, 1.8e-4),
)
COLUMNS = ("command", "kernel", "quantum", "PDE steps", "error", "drift", "verified", "goal", "reached")

RECIPE = """name: transport
law:
  fields: [u]
  flux: {{u: u}}
{diffusion}domain: {{lengths: [1.0], boundary: periodic}}
initial: {{u: "0.1 + 1.8*exp(-((x-0.4)/0.06)**2)"}}
range: {{u: [0.0, 2.0]}}
time: 1.0
mesh: [128]
courant: 0.5
"""
CELL_PECLET = (None, 50.0, 4.0)
BUMP_GOAL, DIFFUSIVITY_GOAL = 6.0e-3, 0.01
LAW_COLUMNS = (
    *("cell Peclet number", "velocity", "diffusivity", "wanted", "off", "bump after a period", "drift", "verified"),
    "reached",
)


def verified(graph: IntegerGraph) -> str:
    """Whether the checker proves every claim again."""
    return "yes" if all(finding.holds for finding in check_certificate(graph)) else "no"


def drift_of(graph: IntegerGraph, steps: int) -> int:
    """Change of the sum of all masses and ledgers over some PDE steps, in quanta."""
    return int(Semantics(graph).masses_after(graph.initial, steps).sum() - graph.initial.sum())


def row_of(case: Case) -> str:
    """Row of a compilation."""
    graph = pd.compile(case.model, slope=case.slope, **case.options).graph
    quantisation = graph.quantisation
    error, kernel = quantisation.relative_l2_integer or np.nan, graph.operator[0].weight[0]
    is_odd = (kernel == -kernel[::-1]).all()
    shown = kernel[kernel.size // 2 - 1 :: -1] if is_odd else kernel
    half = f"{tuple(shown.tolist())} / 2^{known_face(graph).exponent}"
    is_line = len(graph.operator) == 1 and graph.model_spec.transverse == 0
    goal = "" if case.goal is None else f"{case.goal:.1e}" + (f" in {case.steps}" if case.steps else "")
    is_reached = error <= (case.goal or np.inf) and quantisation.steps <= (case.steps or quantisation.steps)
    return line(
        f"`{case.command}`",
        half if is_line else "",
        f"2^{np.log2(graph.value_per_quantum):.0f}",
        quantisation.steps,
        f"{error:.2e}",
        drift_of(graph, quantisation.steps),
        verified(graph),
        goal,
        "" if case.goal is None else "yes" if is_reached else "no",
    )


def law_row(folder: Path, peclet: float | None) -> str:
    """Row of a linear law: effective coefficients, and the error of a bump after one period."""
    diffusivity = 0.0 if peclet is None else 1 / (128 * peclet)
    path = folder / "transport.yaml"
    path.write_text(RECIPE.format(diffusion="" if peclet is None else f"  diffusion: {{u: {diffusivity!r}}}\n"))
    graph = pd.compile(path).graph
    assert graph.certificate is not None and graph.certificate.equation is not None
    figures, steps = graph.certificate.equation.figures, round(PERIOD / graph.time_step)
    off = abs(figures["diffusivity"] - diffusivity) / (diffusivity or 1 / 128)
    bump, is_reached = "", off <= DIFFUSIVITY_GOAL
    if peclet is None:
        start, end = graph.initial, Semantics(graph).masses_after(graph.initial, steps)
        error = float(np.linalg.norm(end - start) / np.linalg.norm(start - start.mean()))
        bump, is_reached = f"{error:.2e}", error <= BUMP_GOAL
    return line(
        "none" if peclet is None else f"{peclet:g}",
        f"{figures['velocity']:.7g}",
        f"{figures['diffusivity']:.6g}",
        f"{diffusivity:.6g}",
        f"{off:.1e}",
        bump,
        drift_of(graph, steps),
        verified(graph),
        "yes" if is_reached else "no",
    )


def accuracy() -> list[str]:
    """Kernels and residues against the problems' references."""
    return [
        "`--slope 4` declares how steep the field of laplace2d is; without it, drives are bounded by the range of the "
        "values alone, and quanta are up to eight times coarser. burgers1d has a hidden layer, so `auto` leaves it "
        "as it is.",
        "",
        *table(COLUMNS, (row_of(case) for case in CASES)),
    ]


def costs() -> list[str]:
    """What the search says."""
    return [
        "## What it costs on a target",
        "",
        "With `--residues auto` the search keeps what halves the error. The models' own meshes on `loihi2`; axons are "
        "those between cores.",
        "",
        *table(COST_COLUMNS, cost_rows()),
    ]


def speed() -> list[str]:
    """Rates of the kernels of `fast`."""
    return [
        "## Speed on `fast`",
        "",
        "One thread, audited at every PDE step; `unseen / seen` is the median ratio of rates measured in turns in one "
        "run, on the same mesh and with the same weights of the masses.",
        "",
        *table(SPEED_COLUMNS, speed_rows()),
    ]


def materials() -> list[str]:
    """Materials of equal capacity."""
    return [
        "## Materials",
        "",
        "heat2d on 32 x 32 cells of equal capacity between reservoirs at 0.5 and 1.5; one half conducts better. The "
        "error is against the same fluxes exact in time; weights have one digit. What residues add up to must fit 24 "
        "bits, too: where thresholds are large, quanta become coarser, and `auto` leaves residues unseen.",
        "",
        *table(MATERIAL_COLUMNS, material_rows()),
    ]


def injections() -> list[str]:
    """Verdicts of faults."""
    judged = faults()
    judged["missed"] += 0
    verdicts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(judged.items()))
    return [
        "## Faults",
        "",
        f"{INJECTIONS:,} random faults on `fast`, of all kinds, in heat1d, heat2d and the plate of two materials, with "
        f"[the bookkeeping of the campaigns](faults.md), half of them with recovery: {verdicts}.",
    ]


def transport() -> list[str]:
    """Linear laws."""
    with tempfile.TemporaryDirectory() as name:
        laws = [law_row(Path(name), peclet) for peclet in CELL_PECLET]
    return [
        "## Transport",
        "",
        "A linear law on 128 cells at a Courant number of at most 1/2, with 1 as its velocity. Velocity and "
        "diffusivity are the first two moments of the integer fluxes, which the certificate states and `verify` "
        "computes again; without diffusion, *off* is in units of velocity times cell width. The error of the bump is "
        "relative to its variation. "
        f"Goals: a diffusivity within {DIFFUSIVITY_GOAL:.0%}, an error of at most {BUMP_GOAL:.1e}.",
        "",
        *table(LAW_COLUMNS, laws),
        "",
        "The recipe, compiled with `compile transport.yaml`; with diffusion, it has a line `diffusion: {u: D}`:",
        "",
        "```yaml",
        *RECIPE.format(diffusion="").splitlines(),
        "```",
    ]


SECTIONS: dict[str, Callable[[], list[str]]] = {
    "accuracy": accuracy,
    "costs": costs,
    "speed": speed,
    "materials": materials,
    "faults": injections,
    "transport": transport,
}


def section(name: str) -> str:
    """Measure a section of the page."""
    return "\n" + "\n".join(SECTIONS[name]()) + "\n"


def page() -> str:
    """Format the page."""
    head = (
        "# Residues that are seen, and moments in integers first\n\n"
        "What `compile --residues` and `--kernels` are worth "
        "([how they work](../explanation/compiler.md#see-residues)). All states and payloads have at most 24 bits, "
        "all weights 8. The error is the relative L2 error at the problem's horizon, which `compile` prints. It "
        "includes what has not fired yet where faces see it. Drift is "
        "the change of the sum of all masses, ledgers included, until then. `verify` proves every claim again. Of an "
        "odd kernel, the weights on one side of the face are shown, from the face outwards.\n\n"
    )
    parts = [f"<!-- {name} -->\n{section(name)}\n<!-- /{name} -->\n\n" for name in SECTIONS]
    return "".join([head, *parts, "Made by `python -m benchmarks.residues`.\n"])


def main(words: Sequence[str]) -> None:
    """Measure, and write."""
    parser = page_parser(__doc__)
    parser.add_argument("--only", choices=SECTIONS, help="measure this section, and leave the others as they are")
    arguments = parser.parse_args(words)
    if arguments.only is None:
        publish(PAGE, page(), dry_run=arguments.dry_run)
    elif arguments.dry_run:
        sys.stdout.write(section(arguments.only))
    else:
        fill(PAGE, arguments.only, section(arguments.only))


if __name__ == "__main__":
    main(sys.argv[1:])

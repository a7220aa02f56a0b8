"""Faces that see residues, and moments in integers first: writes ``docs/results/residues.md``.

Run it from the root of a checkout with ``python -m benchmarks.residues``. It takes about three minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import pisnn_deploy as pd
from benchmarks.common import PAGES, line, page_parser, publish, table
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


def page() -> str:
    """Format the page."""
    with tempfile.TemporaryDirectory() as name:
        laws = [law_row(Path(name), peclet) for peclet in CELL_PECLET]
    parts = [
        "# Residues that are seen, and moments in integers first",
        "",
        "What `compile --residues` and `--kernels` are worth "
        "([how they work](../explanation/compiler.md#see-residues)). All states and payloads have at most 24 bits, "
        "all weights 8. The error is the relative L2 error at the problem's horizon, which `compile` prints. It "
        "includes what has not fired yet where faces see it. Drift is "
        "the change of the sum of all masses, ledgers included, until then. `verify` proves every claim again. Of an "
        "odd kernel, the weights on one side of the face are shown, from the face outwards.",
        "",
        "`--slope 4` declares how steep the field of laplace2d is; without it, drives are bounded by the range of the "
        "values alone, and quanta are up to eight times coarser. burgers1d has a hidden layer, so `auto` leaves it "
        "as it is.",
        "",
        *table(COLUMNS, (row_of(case) for case in CASES)),
        "",
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
        "",
        "Made by `python -m benchmarks.residues`.",
        "",
    ]
    return "\n".join(parts)


def main(words: Sequence[str]) -> None:
    """Measure, and write."""
    arguments = page_parser(__doc__).parse_args(words)
    publish(PAGE, page(), dry_run=arguments.dry_run)


if __name__ == "__main__":
    main(sys.argv[1:])

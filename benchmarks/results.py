"""Measure every model of the zoo and write ``docs/results/``: one page and one picture a problem, and an overview.

Run it from the root of a checkout with ``make results``, which trains and measures the baselines first. Everything is
measured again except the trainings of the baselines, which are kept under ``build/``; no figure is typed by hand.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.baselines.setting import Setting, setting
from benchmarks.common import PAGES, ROOT, fill, line, table, times
from benchmarks.convergence import MESHES, tables
from benchmarks.convergence import measured as convergence
from benchmarks.parts.zoo import horizon_steps
from benchmarks.parts.zoo_measures import Results, measured
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.physics.problems import NAMES
from pisnn_deploy.project.zoo import names, recipe_path
from pisnn_deploy.training.recipe import read_recipe

MULTIPLES = (1, 2, 10, 100)
MEASURED = tuple(name for name in NAMES if name in names())
"""Problems with a model in the zoo."""

TARGETS = {
    "heat1d": ("2e-6 in at most 200 PDE steps", 2e-6),
    "heat2d": ("5e-5", 5e-5),
    "laplace2d": ("5e-4 within 400 PDE steps, reach for 1e-4", 5e-4),
    "advection_diffusion1d": ("2e-3", 2e-3),
    "burgers1d": ("3e-3, reach for 1e-3, then 4e-4", 3e-3),
}
COLOURS = {
    "PISNN, integers": "tab:blue",
    "PISNN, float": "tab:cyan",
    "PINN (DeepXDE)": "tab:red",
    "PINN, int8 (onnxruntime)": "tab:orange",
    "PINN, rate-coded, 256 time steps (lava-dl)": "tab:purple",
}
CLASSICAL = ("tab:green", "tab:olive", "tab:brown")


def number(value: float) -> str:
    """Format a figure for a table."""
    return "-" if math.isnan(value) else f"{value:.1e}"


def comparison(results: Results, case: Setting) -> list[str]:
    """Table of all methods at multiples of the horizon."""
    horizon = case.problem.horizon
    multiples = (1, 2, 10) if case.is_steady else MULTIPLES
    heads = [f"error at {m}T" for m in multiples] + [f"drift at {m}T" for m in multiples]
    rows = []
    for curve in results.curves:
        at = [curve.at(m * horizon) for m in multiples]
        drifts = ["0 (exact)" if curve.exact and drift == 0 else number(drift) for _, drift in at]
        rows.append(line(curve.name, *(number(error) for error, _ in at), *drifts))
    return table(("method", *heads), rows)


def integers_did(results: Results, case: Setting) -> list[str]:
    """Section on the integers: conservation, bounds, growth of the error, ledgers."""
    graph, far, horizon = results.graph, results.far, case.problem.horizon
    growth = results.curves[0].at(10 * horizon)[0] / results.curves[0].at(horizon)[0]
    lines = [
        "## Behaviour of the integers",
        "",
        f"- {results.lava}",
        f"- Over {round(far.time[-1] / graph.time_step)} PDE steps on `fast` ({far.time[-1] / horizon:.0f} T): largest "
        f"drift {int(np.abs(far.drift).max())} quanta, largest local conservation residual {int(far.residual.max())} "
        "quanta (kept steps; the audit checks every step: violations 0).",
        f"- Maximum principle: cells leave the initial range by at most {int(far.overshoot.max())} quanta "
        f"({far.overshoot.max() * graph.value_per_quantum:.1e}). Energy rises by at most "
        f"{max(0.0, float(np.diff(far.energy).max())):.1e} of its initial value between kept steps."
        if not case.is_steady
        else f"- Cells leave the range of the reservoirs by at most {int(far.overshoot.max())} quanta "
        f"({far.overshoot.max() * graph.value_per_quantum:.1e}) during the run.",
        f"- From T to 10 T the error grows by a factor of {growth:.2g}; linear growth would be 10."
        if not math.isnan(growth)
        else "- No growth to report.",
    ]
    if graph.mesh.reservoirs:
        at_end = results.short.trace.ledger[-1].tolist()
        lines.append(
            f"- Ledgers after {results.short.steps} PDE steps: the reservoirs gave {-sum(x for x in at_end if x < 0)} "
            f"quanta and took {sum(x for x in at_end if x > 0)}; with the cells, that equals the initial sum."
        )
    lines += [
        f"- Held-out start `{initial}`: relative L2 error {error:.1e} at T."
        for initial, error in results.held_out.items()
    ]
    return lines


def page(name: str, results: Results) -> str:
    """Format the page of a problem."""
    case, graph = setting(name), results.graph
    spec, quantisation = graph.model_spec, graph.quantisation
    horizon = case.problem.horizon
    steps = horizon_steps(graph)
    widths = max(bound.bits for bound in graph.bounds if bound.is_state_or_payload)
    network = (
        f"integer kernel {quantisation.kernel_chosen} / 2^{spec.weight_exponents[0]}"
        if quantisation.kernel_chosen
        else f"{' -> '.join(str(outputs) for outputs, _ in spec.layer_shapes)} units, exponents {spec.weight_exponents}"
    )
    lines = [
        f"# {name}",
        "",
        f"`{case.problem.equation}`, mesh {times(graph.mesh.shape)}, {graph.mesh.boundary_text}; T = "
        f"{horizon:g} ({'pseudo-time' if case.is_steady else 'units of time'}), {steps} PDE steps.",
        "",
        f"Deployed: {network}; leak {known_face(graph).leak}; value of a quantum "
        f"2^{round(math.log2(graph.value_per_quantum))}; states and payloads within {widths} bits; stability "
        f"{graph.certificate.stability.status if graph.certificate else 'none'}.",
        "",
        trained_on(name, graph),
        "",
        f"![fields, error and drift of {name}]({name}.png)",
        "",
        "## Comparison with the exact solution and other methods",
        "",
        "Relative L2 error of cell averages, and mass drift. T is the training horizon of the PINN, which solves one "
        "instance; the PISNN learns an operator. Drift is measured from each method's own start: relative for floats, "
        "the difference of integer sums for integers. "
        + (
            "The float PISNN has the same weights (they are exact integers), but float biases and arithmetic."
            if graph.between_fields
            else "The float PISNN is trained like the deployed one, without rounding."
        ),
        "",
        *comparison(results, case),
        "",
        "Finite volumes in float64 also conserve mass up to rounding; they use the PISNN's time step, divided into "
        "equal parts if it is unstable. lava-dl's integrate-and-fire neurons reset to zero and lose the excess above "
        "their threshold, so the rate code converges slowly.",
        "",
        *integers_did(results, case),
    ]
    if results.variants:
        lines += [
            "",
            "## The same model with other meshes and boundaries",
            "",
            "| mesh | boundary | PDE steps | float | integer | drift |",
            "| --- | --- | --- | --- | --- | --- |",
            *(
                f"| {mesh} | {boundary} | {count} | {number(floating)} | {number(integer)} | {drift} |"
                for mesh, boundary, count, floating, integer, drift in results.variants
            ),
        ]
    lines += ["", *order_of(name), "Made by `make results`."]
    return "\n".join(lines) + "\n"


def order_of(name: str) -> list[str]:
    """Section on the order of convergence."""
    head = ["## Convergence", ""]
    if name not in MESHES:
        return [*head, "Trained for one cell width, because the equation has a length of its own: no other mesh.", ""]
    about = "Relative L1 errors at T on several meshes, with the order between each and the one before it"
    return [
        *head,
        f"{about}; [convergence](convergence.md) explains the columns and has the picture.",
        "",
        *tables(convergence(name)),
    ]


def trained_on(name: str, graph: IntegerGraph) -> str:
    """Sentence on the length of the training rollouts."""
    with recipe_path(name) as path:
        longest = max(read_recipe(path).training.horizons)
    part = longest * graph.time_step / setting(name).problem.horizon
    return f"Trained on rollouts of at most {longest} PDE steps, {part:.2g} T. Everything beyond is extrapolation."


def picture(name: str, results: Results, path: Path) -> None:
    """Plot fields, error over time, and drift over time."""
    case, graph = setting(name), results.graph
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    horizon = case.problem.horizon
    row = int(np.argmin(np.abs(results.measures.time - horizon)))
    values, exact = graph.values(results.short.trace.mass[row]), case.exact(float(results.measures.time[row]))
    if len(graph.mesh.shape) == 1:
        x = (np.arange(graph.mesh.cells) + 0.5) * graph.grid.spacing[0]
        left.plot(x, case.initial(), color="#9aa0a6", label="start")
        left.plot(x, values, color="tab:blue", label="integers")
        left.plot(x, exact, color="k", linestyle=(0, (3, 3)), label="exact")
        left.set(xlabel="position (units of length)", ylabel="cell value")
        left.legend(frameon=False)
    else:
        extent = (0.0, graph.grid.lengths[0], 0.0, graph.grid.lengths[1])
        image = left.imshow(values.reshape(graph.mesh.shape).T, origin="lower", extent=extent, cmap="viridis")
        figure.colorbar(image, ax=left, label="cell value")
        left.set(xlabel="x (units of length)", ylabel="y (units of length)")
    left.set_title(f"(a) {name} at T", loc="left", fontsize=10)
    unit = "pseudo-time / T" if case.is_steady else "time / T"
    others = [curve.name for curve in results.curves if curve.name not in COLOURS and "rate-coded" not in curve.name]
    colours = {**COLOURS, **dict(zip(others, CLASSICAL, strict=False))}
    for curve in results.curves:
        if "rate-coded" in curve.name and not curve.name.startswith("PINN, rate-coded, 256"):
            continue
        style = {"color": colours.get(curve.name), "label": curve.name, "linewidth": 2.0 if curve.exact else 1.2}
        order = np.argsort(curve.time)
        time = curve.time[order] / horizon
        known = time > 0
        mark = "o" if known.sum() < 5 else ""
        middle.loglog(time[known], np.maximum(curve.relative_l2[order][known], 1e-16), marker=mark, **style)
        drift = np.abs(curve.drift[order][known])
        if curve.exact:
            if not drift.any():
                right.axhline(1e-18, **{**style, "label": f"{curve.name}: 0, exactly"})
        elif not np.isnan(drift).all():
            right.loglog(time[known], np.maximum(drift, 1e-17), marker=mark, **style)
    middle.axvline(1, color="#9aa0a6", linewidth=0.8)
    middle.set(xlabel=unit, ylabel="relative L2 error", ylim=(1e-9, 10))
    middle.set_title("(b) error over time", loc="left", fontsize=10)
    middle.legend(frameon=False, fontsize=7)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set(xlabel=unit, ylabel="mass drift (relative)", ylim=(3e-19, 10))
    right.set_title("(c) mass drift over time", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=7)
    for axes in (middle, right):
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def goals(everything: dict[str, Results], folder: str) -> list[str]:
    """Table of goals and results; pages are linked in `folder`."""
    rows = []
    for name, results in everything.items():
        integer = results.graph.quantisation.relative_l2_integer or math.nan
        floating = results.curves[1].at(setting(name).problem.horizon)[0]
        goal, limit = TARGETS[name]
        drift = int(np.abs(results.far.drift).max())
        met = "yes" if integer <= limit and drift == 0 else "NO"
        link, steps = f"[{name}]({folder}{name}.md)", results.graph.quantisation.steps
        rows.append(line(link, goal, steps, number(floating), number(integer), f"{integer / floating:.2f}", drift, met))
    return table(("problem", "goal", "PDE steps", "float", "integer", "integer / float", "drift", "goal met"), rows)


def overview(everything: dict[str, Results]) -> str:
    """Format the overview page."""
    missed = [
        name
        for name, results in everything.items()
        if (results.graph.quantisation.relative_l2_integer or math.nan)
        > max(1e-5, 1.1 * results.curves[1].at(setting(name).problem.horizon)[0])
    ]
    lines = [
        "# Results",
        "",
        "Every model of the zoo, deployed on integers: 8-bit weights, states and payloads within 24 bits, loihi2. "
        "Errors are relative L2 against exact cell averages at the physical time of the integer run. Drift is the "
        "largest change of the integer sum, ledgers included, over 100 T (Laplace: 10 T). The float model is trained "
        "like the deployed one, without rounding.",
        "",
        *goals(everything, ""),
        "",
        "Goal: the integer error is at most 1.1 times the float error, or 1e-5. "
        + (f"Missed by: {', '.join(missed)}." if missed else "Met by all."),
        "",
        "Ablation of training options: [ablation.md](ablation.md). Search for better integers: "
        "[quantisation.md](quantisation.md). Cores: [placement.md](placement.md). Large meshes: "
        "[scale.md](scale.md). Speed: [fast.md](fast.md). Millions of PDE steps: [long_horizons.md](long_horizons.md). "
        "Faults: [faults.md](faults.md), [further kinds of graphs](faults_of_kinds.md). Invariance: "
        "[invariance.md](invariance.md). The limiter: [limiter.md](limiter.md), "
        "[of laws](limited_laws.md). Lava's own processes: "
        "[stock.md](stock.md). Orders of convergence: [convergence.md](convergence.md). Residues that are seen, and "
        "exact moments: [residues.md](residues.md). Triangles, tetrahedra and materials: [meshes.md](meshes.md). "
        "All goals of accuracy: [goals_of_accuracy.md](goals_of_accuracy.md). "
        "Laws: [laws.md](laws.md), [trained ones](trained_laws.md), "
        "[their goals, and Lava](goals_of_laws.md), [Burgers flows](burgers.md). Damaged files: "
        "[fuzzing.md](fuzzing.md). Mutants before three checkers: [mutants.md](mutants.md). "
        "Time of `verify`: [verify.md](verify.md). Start-up: [start_up.md](start_up.md). "
        "Kernels beside peers: [peers.md](peers.md).",
        "",
        "Made by `make results`. Each baseline was trained once, on one core.",
    ]
    return "\n".join(lines) + "\n"


def fill_card(name: str, results: Results) -> None:
    """Put the measured figures into a model card."""
    path = ROOT / "models" / name / "card.md"
    quantisation = results.graph.quantisation
    held_out = "".join(f" Held-out start `{k}`: {v:.1e}." for k, v in results.held_out.items())
    floating = results.curves[1].at(setting(name).problem.horizon)[0]
    text = (
        f"Mesh {times(results.graph.mesh.shape)}, {results.graph.mesh.boundary_text}, "
        f"{quantisation.steps} PDE steps: relative L2 error {quantisation.relative_l2_integer:.1e} on integers, "
        f"{floating:.1e} trained in float; drift {int(np.abs(results.far.drift).max())}.{held_out} Measured by "
        "`make results`; more in docs/results."
    )
    fill(path, "figures", text)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=MEASURED, action="append", help="measure only these, and keep the overview")
    arguments = parser.parse_args()
    PAGES.mkdir(parents=True, exist_ok=True)
    everything: dict[str, Any] = {}
    for name in arguments.only or MEASURED:
        sys.stderr.write(f"measuring {name}\n")
        everything[name] = results = measured(name)
        (PAGES / f"{name}.md").write_text(page(name, results))
        picture(name, results, PAGES / f"{name}.png")
        fill_card(name, results)
    if not arguments.only:
        (PAGES / "README.md").write_text(overview(everything))
        fill(ROOT / "README.md", "zoo", "\n".join(goals(everything, "docs/results/")))


if __name__ == "__main__":
    main()

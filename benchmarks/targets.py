"""Models on every target: writes ``docs/results/targets.md`` and the figures of the profiles of boards."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.common import BUILD, PAGES, ROOT, line, publish, table
from benchmarks.parts.fitted import Fitted, fitted
from benchmarks.parts.instructions import MACHINES
from benchmarks.parts.native_c import microseconds
from benchmarks.parts.on_targets import at_once_on_fpgas, by_rows_on_fpgas, on_processors, serially_on_fpgas
from pisnn_deploy.checks.formats.text import estimate_text
from pisnn_deploy.formats.verilog.synthesis import PARTS
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.estimation import estimate_targets, measure_here
from pisnn_deploy.project.request import compile_request
from pisnn_deploy.target import Microcontroller, load_board
from pisnn_deploy.target.work import c_work, circuit_work

PAGE = PAGES / "targets.md"
KEPT = BUILD / "targets.json"
BOARDS = ROOT / "hardware_profiles" / "boards"
MODELS: Mapping[str, str] = {
    "heat1d": "64",
    "examples/laws/melting.yaml": "24",
    "porous_medium": "64",
    "wave1d": "64",
    "lwr": "64",
    "heat2d": "12x12",
    "examples/laws/on_ramp.yaml": "32",
    "examples/laws/sunny_wall.yaml": "24",
    "cahn_hilliard2d": "12x12",
    "laplace2d": "32x32",
    "heat3d": "6x6x6",
    "burgers2d": "12x12",
    "advection_diffusion1d": "256",
    "burgers1d": "256",
    "advection_diffusion2d": "12x12",
    "viscous_burgers1d": "64",
    "gray_scott2d": "8x8",
    "shallow_water1d": "64",
    "lake1d": "64",
    "shallow_water2d": "6x6",
}
"""Models of the zoo and laws of the examples, with cells that most boards have room for."""
AT_ONCE: Mapping[str, str] = {"heat1d": "16", "examples/laws/melting.yaml": "8", "wave1d": "8", "porous_medium": "12"}
"""Circuits with all neurons at once."""
BY_ROWS: Sequence[tuple[str, str]] = (
    ("heat1d", "64"),
    ("heat2d", "12x12"),
    ("heat2d", "64x64"),
    ("laplace2d", "32x32"),
    ("heat3d", "6x6x6"),
)
"""Circuits that stream the rows of a grid."""
HEAD = """# Models on every target

Written by `python -m benchmarks.targets`. Nothing here was run on a board or on Loihi: microcontrollers are machines of
qemu, circuits are simulated by Icarus Verilog, synthesised by yosys, and placed and routed by nextpnr.
"""
EQUAL = """The hash of all integers of the first PDE steps (at most 32) is that of the reference. "Does not fit" means
that the linker refused the program: the part has too little memory. Icarus runs the circuit with one neuron after the
other.
"""
IN_C = """Flash (code and tables) and RAM with the audit, without the start of the machine and the stack; compiled by
gcc with -Os. Cycles of a PDE step without the audit: instructions that qemu executed, each with the fewest and most
cycles of the core's own table (ARM DDI 0432C and ARM 100166, both known from quotations, and Hazard3's documentation),
without wait states of memory. The nRF51822 has a multiplier of 1 cycle (nRF51 Series Reference Manual 3.0); on parts
whose Cortex-M0 has one of 32 cycles, products take longer. Steps per second are at the clock of the profile.
"""
CIRCUITS = """Cells are lookup tables after synthesis by yosys; blocks are of memory. The clock is the one that nextpnr
reaches where the circuit fits the part: placed and routed, not measured on a board. Steps per second are the clock over
the clock cycles of a PDE step.
"""
ONE_TABLE = """heat1d on 64 cells, by `pisnn-deploy estimate --measure`, which also names the source of each figure:
ranges over public or fitted figures, not bounds of a real part. Loihi 2 is counted with every neuron sending once;
`--events` takes the events of a run. Boards compute every neuron in every step. On this CPU, C and `fast` audit each
step; float64 is plain diffusion with numpy, two-point fluxes on the same mesh, which is not as exact;
times on this CPU are processor time.
"""
NATIVE = """Processor time of one thread, in turns, medians of 5; both audit every PDE step. C was compiled by gcc with
-O3, -march=native and -mprefer-vector-width=256, because gcc takes vectors of 512 bits where there are any, which are
slower for heat2d. Its time includes the start of a process, that of `fast` its set-up.
"""
CODE = ("fixed_bytes", "operation_bytes", "wide_operation_bytes", "loop_bytes")
CYCLES = ("operation", "wide_operation", "synapse", "neuron")
CELLS = ("fixed_cells", "operation_bit_cells", "array_bit_cells")


def graph_of(name: str, mesh: str) -> IntegerGraph:
    """Compile a model."""
    graph, _ = compile_requested(compile_request(name, mesh=mesh))
    return graph


def measure() -> dict[str, Any]:
    """Measure all models, and keep what is known if interrupted: runs first, because synthesis takes longest."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    tasks = [(f"{name} {mesh}", name, mesh, on_processors) for name, mesh in MODELS.items()]
    tasks += [(f"{name} {mesh} at once", name, mesh, at_once_on_fpgas) for name, mesh in AT_ONCE.items()]
    tasks += [(f"{name} {mesh} by rows", name, mesh, by_rows_on_fpgas) for name, mesh in BY_ROWS]
    tasks += [(f"{name} {mesh} one by one", name, mesh, serially_on_fpgas) for name, mesh in MODELS.items()]
    for key, name, mesh, task in tasks:
        if key not in kept:
            kept[key] = task(graph_of(name, mesh))
            KEPT.write_text(json.dumps(kept, indent=1))
            print(key, flush=True)
    return kept


def fits(kept: Mapping[str, Any]) -> dict[str, Fitted]:
    """Figures of the profiles of boards, by profile; keys are those of profiles."""
    works = {f"{name} {mesh}": (name, mesh) for name, mesh in MODELS.items()}
    graphs = {key: graph_of(*works[key]) for key in works if key in kept}
    figures: dict[str, Fitted] = {}
    in_c = {key: c_work(graph) for key, graph in graphs.items()}
    for profile in MACHINES:
        found = {key: kept[key]["c"][profile] for key in graphs if profile in kept[key]["c"]}
        rows = [in_c[key] for key in found]
        code = [sizes["flash"] - in_c[key].table_bytes for key, sizes in found.items()]
        sources = [(1, work.written, work.wide_written, work.loops) for work in rows]
        figures[profile] = {f"code.{key}": ends for key, ends in fitted(CODE, sources, code, code).items()}
        counts = [(work.operations, work.wide_operations, work.synapses, work.neurons) for work in rows]
        ends = ([sizes[f"{end}_cycles"] for sizes in found.values()] for end in ("fewest", "most"))
        figures[profile] |= {f"cycles.{key}": ends for key, ends in fitted(CYCLES, counts, *ends).items()}
    circuits = {key: circuit_work(graph) for key, graph in graphs.items()}
    for profile in PARTS:
        known = {key: kept.get(f"{key} one by one", {}).get(profile) for key in graphs}
        found = {key: sizes for key, sizes in known.items() if sizes}
        bits = [(1, circuits[key].operation_bits, circuits[key].array_bits) for key in found]
        cells = [sizes["cells"] for sizes in found.values()]
        figures[profile] = {f"circuit.{key}": ends for key, ends in fitted(CELLS, bits, cells, cells).items()}
        clocks = sorted(sizes["mhz"] for sizes in found.values() if sizes.get("mhz"))
        if clocks:
            figures[profile]["clock.mhz"] = (clocks[len(clocks) // 2], clocks[0], clocks[-1])
    return figures


def with_figures(profile: str, figures: Fitted) -> str:
    """Text of a profile of a board, with fitted figures in place of its own; sources and comments stay."""
    for name, (value, low, high) in figures.items():
        key = name.partition(".")[2]
        own = re.compile(rf"(?<=^  {key}: {{)value: [^,]*, low: [^,]*, high: [^,]*(?=,)", re.MULTILINE)
        profile, count = own.subn(f"value: {value}, low: {low}, high: {high}", profile)
        if count != 1:
            raise ValueError(f"{name}: the profile has {count} figures of this name with a range, not 1")
    return profile


def page(kept: Mapping[str, Any]) -> str:
    """The page, from measurements."""
    ran = {key: found for key, found in kept.items() if "equal" in found}
    columns = [*next(iter(ran.values()))["equal"]]
    words = {True: "yes", False: "**no**", None: "does not fit"}
    equal = [line(_short(key), *(words[found["equal"].get(name)] for name in columns)) for key, found in ran.items()]
    in_c = [line(_short(key), *(_in_c(found["c"].get(name), name) for name in MACHINES)) for key, found in ran.items()]
    circuits = [
        line(_short(key), layout, *(_circuit(found.get(name), cycles) for name in PARTS))
        for key, found, layout, cycles in _circuits(kept)
    ]
    parts = [
        HEAD,
        "## Equal integers\n",
        EQUAL,
        *table(("model and cells", *columns), equal),
        "\n## C on microcontrollers\n",
        IN_C,
        *table(("model and cells", *MACHINES), in_c),
        "\n## Circuits\n",
        CIRCUITS,
        *table(("model and cells", "neurons", *PARTS), circuits),
        "\n## Energy and time\n",
        ONE_TABLE,
        *_one_table(),
        "\n## C beside `fast`\n",
        NATIVE,
        *_native(),
    ]
    return "\n".join(parts) + "\n"


def _short(key: str) -> str:
    name, mesh, *_ = key.removeprefix("examples/laws/").replace(".yaml", "").split(" ")
    return f"{name} {mesh}"


def _in_c(found: Mapping[str, int] | None, profile: str) -> str:
    if found is None:
        return "does not fit"
    board = load_board(profile)
    assert isinstance(board, Microcontroller)
    slow, quick = (board.clock.hz.value / found[f"{end}_cycles"] for end in ("most", "fewest"))
    sizes = f"{found['flash']:,} / {found['ram']:,} B"
    if slow == quick:
        return f"{sizes}; {found['most_cycles']:,} cycles; {slow:,.0f} steps/s"
    return (
        f"{sizes}; {found['fewest_cycles']:,} to {found['most_cycles']:,} cycles; {slow:,.0f} to {quick:,.0f} steps/s"
    )


def _circuits(kept: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, int]]:
    """Key, sizes, layout and clock cycles of a PDE step of each circuit."""
    for key, found in kept.items():
        name, mesh, *layout = key.split(" ", 2)
        if layout:
            at_once = layout == ["at once"]
            serial = 0 if at_once or "cycles" in found else circuit_work(graph_of(name, mesh)).cycles
            yield key, found, layout[0], 1 if at_once else found.get("cycles", serial)


def _circuit(found: Mapping[str, float] | None, cycles: int) -> str:
    if found is None:
        return "not synthesised within the time limit"
    sizes = f"{found['cells']:,} cells, {found['registers']:,} registers; memory blocks {found['memories']}, "
    sizes += f"multipliers {found['multipliers']}"
    mhz = found.get("mhz")
    return sizes if mhz is None else f"{sizes}; {mhz} MHz, {1e6 * mhz / cycles:,.0f} steps/s"


def _one_table() -> Iterator[str]:
    """Time and energy of heat1d on all targets, as `pisnn-deploy estimate` gives them, and of its C on this CPU."""
    graph = graph_of("heat1d", MODELS["heat1d"])
    rows = [
        line(row.target, *(estimate_text(cost.low, cost.high) for cost in (row.time, row.energy)), row.made_of)
        for row in estimate_targets(graph)
    ]
    here = {row.name: row.microseconds for row in measure_here(graph)}
    here = {"this CPU, C": microseconds(graph, 200_000)["C"], **here}
    rows += [line(name, f"{time:.3g}", "not measured", "measured") for name, time in here.items()]
    yield from table(("target", "time of a step (us)", "energy of a step (nJ)", "from"), rows)


def _native() -> Iterator[str]:
    rows = []
    for name, mesh, steps in (("heat1d", "128", 200_000), ("heat2d", "64x64", 5000)):
        times = microseconds(graph_of(name, mesh), steps)
        rows.append(
            line(f"{name} {mesh}", *(f"{times[key]:.3g}" for key in ("C", "fast")), f"{times['fast'] / times['C']:.2f}")
        )
    yield from table(("model and cells", "C (us)", "`fast` (us)", "`fast` / C"), rows)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--fit", metavar="PROFILE", nargs="*", help="write figures of boards (default: all) and no page"
    )
    parser.add_argument("--kept", action="store_true", help="write the page from what was measured so far")
    parser.add_argument("--dry-run", action="store_true", help="print the page and write nothing")
    arguments = parser.parse_args()
    if arguments.fit is not None:
        for profile, figures in fits(json.loads(KEPT.read_text())).items():
            if not arguments.fit or profile in arguments.fit:
                path = BOARDS / f"{profile}.yaml"
                publish(path, with_figures(path.read_text(), figures), dry_run=arguments.dry_run)
        return
    kept = json.loads(KEPT.read_text()) if arguments.kept else measure()
    publish(PAGE, page(kept), dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()

"""`pisnn_deploy.lava` in Lava programs of others: exact integers, driven sides, errors, no hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from at_home.heater.process import Heater
from compiled_files import compile_file
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.monitor.process import Monitor
from limited_laws import limited_law
from models_under_test import (
    binary_box,
    compiled,
    compiled_box,
    heat_model,
    hidden_model,
    laplace_model,
    seeing_box,
    stock_box,
)
from numpy.typing import NDArray

from pisnn_deploy.api.artifact import CompiledArtifact
from pisnn_deploy.core.errors import CheckError, InvariantViolation, UsageError
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.layout import window_biases
from pisnn_deploy.lava import CLIFNetwork, Session
from pisnn_deploy.lava.steering import steered
from pisnn_deploy.runs import RunOptions, run_graph
from pisnn_deploy.runs.run import RunState

Integers = NDArray[np.int64]
STEPS = 6


def artifact(graph: IntegerGraph) -> CompiledArtifact:
    return CompiledArtifact(graph, {})


def rod() -> IntegerGraph:
    return compiled(cells=8, boundary="dirichlet=0,1")


def heated(network: CLIFNetwork, side: str, numbers: Integers) -> Heater:
    """A heater that sends these numbers to a side, and reads all masses."""
    heater = Heater(numbers, network.mass().shape)
    heater.heat.connect(network.side(side))
    network.mass().connect(heater.field)
    return heater


def with_value(graph: IntegerGraph, side: str, value: int) -> IntegerGraph:
    """The graph with another value of a side, worked out from its flux network."""
    field, spec, layer = graph.sole_field, graph.model_spec, graph.operator[0]
    reservoirs = field.reservoirs.copy()
    reservoirs[graph.ledgers_of(field)[side]] = value
    reach = (spec.half_width, spec.transverse, reservoirs, spec.wall)
    biases = window_biases(layer.weight, layer.bias, graph.grid, *reach)
    first = graph.population(graph.chain[1])
    changed = graph.with_populations(replace(first, parameters={**first.parameters, "bias": biases}))
    return replace(changed, fields=(replace(field, reservoirs=reservoirs),))


GRAPHS: dict[str, tuple[Callable[[], IntegerGraph], str]] = {
    "rod": (rod, "left"),
    "leaky, dense": (
        lambda: compiled(heat_model(leak=1024), cells=8, boundary="dirichlet=0,1", coding="dense"),
        "right",
    ),
    "hidden layer": (lambda: compiled(hidden_model((4,)), cells=6, boundary="dirichlet=-1,1"), "left"),
    "hidden layers, dense": (
        lambda: compiled(hidden_model((3, 2)), cells=6, boundary="dirichlet=-1,1", coding="dense"),
        "right",
    ),
    "faces that see residues": (lambda: seeing_box(shape=(8,), boundary="dirichlet=0,1"), "left"),
    "plane": (lambda: compiled_box(laplace_model(), (20, 20), "x=dirichlet=0,1 y=dirichlet=0,0"), "x-"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_side_driven_by_another_process_gives_the_integers_of_fast(name: str) -> None:
    made, side = GRAPHS[name]
    graph = made()
    side = side if side in graph.ledgers_of(graph.sole_field) else next(iter(graph.ledgers_of(graph.sole_field)))
    network = CLIFNetwork(artifact(graph), STEPS, sides=[side], probe=graph.chain)
    low, high = network.range
    rng = np.random.default_rng(7)
    values = np.array([low, high, (low + high) // 2, low, *rng.integers(low, high, STEPS - 4, endpoint=True)])
    if name == "plane":  # whose waves would leave the range
        values = (3 * low + high) // 4 + values // 64
    # What is sent in other time steps does not count, and may be anything.
    numbers = np.full(network.time_steps, high + 12345)
    numbers[: STEPS * network.period : network.period] = values
    heater = heated(network, side, numbers)
    sink = Sink(shape=network.mass().shape, buffer=network.time_steps)
    network.mass().connect(sink.a_in)
    with Session(network) as session:
        session.run(3)
        session.run(network.time_steps - 3)
        read, seen = int(heater.read.get()[0]), sink.data.get()
    run = network.result()
    assert run.conserved and run.steps == STEPS

    widened, _ = steered(graph, [side])
    masses, state, expected = [run.trace.mass[0]], None, []
    for step, value in enumerate(values.tolist()):
        options = RunOptions(STEPS, start=state, until=step + 1, everything=True)
        part = run_graph("fast", with_value(widened, side, value), graph.initial, options)
        assert not part.failure
        state = part.end
        masses.append(part.trace.mass[-1])
        assert part.trace.flux is not None
        expected.append(part.trace.flux[-1])
    assert isinstance(state, RunState)
    assert np.array_equal(run.trace.mass, np.stack(masses))
    assert len({row.tobytes() for row in masses}) > 2
    assert run.end is not None
    for part_of_state in ("mass", "current", "residue", "transported"):
        assert np.array_equal(getattr(run.end, part_of_state), getattr(state, part_of_state)), part_of_state
    packets, currents, residues = np.stack(expected, axis=1)
    output = "packet" if "residues" in name else None
    assert np.array_equal(network.recorded_spikes("flux", output)[1:], packets)
    assert np.array_equal(network.states("flux")["current"][1:], currents)
    assert np.array_equal(network.states("flux")["residue"][1:], residues)
    # Lava's own process was sent the same, and so was the heater.
    shown = seen.reshape(-1, network.time_steps)[:, :: network.period].T.astype(np.int64)
    assert np.array_equal(shown, network.states("membrane")["mass"])
    assert read == int(seen.sum())


def test_a_side_that_is_sent_its_own_value_changes_nothing_and_a_monitor_sees_the_spikes() -> None:
    graph = rod()
    network = CLIFNetwork(artifact(graph), STEPS, sides=["left", "right"], probe=["flux"])
    for side, value in (("left", 0.0), ("right", 1.0)):
        source = Source(data=np.full((1, 1), network.quanta(value)))
        source.s_out.connect(network.side(side))
    monitor = Monitor()
    monitor.probe(network.spikes("flux"), network.time_steps)
    with Session(network) as session:
        session.run(network.time_steps)
        (of_port,) = monitor.get_data().values()
    expected = artifact(graph).simulate(STEPS, backend="fast", probe="flux")
    run = network.result()
    message = "^Lava runs a program once; create its processes anew for another session$"
    with pytest.raises(UsageError, match=message), Session(network):
        pass
    assert np.array_equal(run.trace.mass, expected.mass) and run.events == expected.run.events
    assert np.array_equal(network.recorded_spikes("flux"), expected.spikes("flux"))
    (spikes,) = of_port.values()
    assert np.array_equal(spikes[1 :: network.period].astype(np.int64), expected.spikes("flux")[1:])
    assert not spikes[:: network.period].any()


def test_a_group_of_a_mesh_of_cells_is_driven_to_the_nearest_level() -> None:
    mesh = str(Path(__file__).parents[1] / "cases" / "tpfa_stretched" / "coarse.msh")
    before, after = (
        compile_file(
            "heat2d",
            mesh=mesh,
            boundary=f"cold=dirichlet=0 hot=dirichlet={hot}",
            value_range="0,1",
            fluxes="two-point",
            digits="one",
        )[0]
        for hot in (1, 0.3)
    )
    shown = after.sole_field.reservoirs[after.ledgers_of(after.sole_field)["hot"][0]]
    network = CLIFNetwork(artifact(before), 3, sides=["hot"])
    source = Source(data=np.full((1, 1), shown + 1))
    source.s_out.connect(network.side("hot"))
    with Session(network) as session:
        session.run(network.time_steps)
    expected = run_graph("fast", after, before.initial, RunOptions(3))
    assert np.array_equal(network.result().trace.mass, expected.trace.mass)


def test_binary_spikes_have_a_line_for_each_bit() -> None:
    graph = binary_box(heat_model(), (8,), "dirichlet=0,1")
    network, lines = CLIFNetwork(artifact(graph), 3, probe=["flux"]), graph.population("flux").lines
    sink = Sink(shape=network.spikes("flux").shape, buffer=network.time_steps)
    network.spikes("flux").connect(sink.a_in)
    with Session(network) as session:
        session.run(network.time_steps)
        data = sink.data.get().astype(np.int64)
    sent = data.reshape(lines, -1, network.time_steps)[:, :, 1 :: network.period]
    weights = [1 << bit for bit in range(lines - 1)] + [-(1 << (lines - 1))]
    assert np.array_equal(np.tensordot(weights, sent, 1).T, network.recorded_spikes("flux")[1:])


def test_fields_of_a_law_have_a_port_each() -> None:
    graph = limited_law("two species")
    network = CLIFNetwork(artifact(graph), 3)
    sinks = {
        field.name: Sink(shape=network.mass(field.name).shape, buffer=network.time_steps) for field in graph.fields
    }
    for name, sink in sinks.items():
        network.mass(name).connect(sink.a_in)
    with Session(network) as session:
        session.run(network.time_steps)
        data = {name: sink.data.get() for name, sink in sinks.items()}
    expected = run_graph("fast", graph, graph.initial, RunOptions(3))
    assert np.array_equal(network.result().trace.mass, expected.trace.mass)
    for columns in expected.trace.columns.fields:
        rows = data[columns.name][0, : columns.field.cells, :: network.period].T
        assert np.array_equal(rows.astype(np.int64), expected.trace.mass[:, columns.cells])


@pytest.mark.parametrize(("beyond", "step"), [("high", 2), ("low", 0)])
def test_a_value_outside_its_range_names_side_value_and_step(beyond: str, step: int) -> None:
    network = CLIFNetwork(artifact(rod()), STEPS, sides=["left"])
    low, high = network.range
    numbers = np.zeros(network.time_steps, np.int64)
    numbers[step * network.period] = value = high + 1 if beyond == "high" else low - 1
    heated(network, "left", numbers)
    with Session(network) as session:
        with pytest.raises(UsageError) as refused:
            session.run(network.time_steps)
        with pytest.raises(UsageError, match=r"^the session is not running; "):
            session.run(1)
    assert str(refused.value) == (
        f"side left: the value {value} at PDE step {step} (time step {step * network.period + 1}) is outside its "
        f"proved range, {low} to {high} quanta; send a value within it, or compile with a wider `range`"
    )
    assert network.result().steps in (step - 1, step)


def test_a_value_that_is_no_integer_is_refused() -> None:
    network = CLIFNetwork(artifact(rod()), STEPS, sides=["left"])
    source = Source(data=np.full((1, 1), 0.5))
    source.s_out.connect(network.side("left"))
    configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={Source: _floating_source()})
    message = r"^side left: the value 0\.5 at PDE step 0 \(time step 1\) is not an integer; send quanta, see `quanta`$"
    with Session(network, run_config=configuration) as session, pytest.raises(UsageError, match=message):
        session.run(network.time_steps)


def _floating_source() -> type:
    from lava.proc.io.source import PySendModelFloat

    return PySendModelFloat  # type: ignore[no-any-return]


def test_a_side_that_nobody_sends_to_is_refused() -> None:
    network = CLIFNetwork(artifact(rod()), STEPS, sides=["right"])
    message = "^side right: nothing is connected to its port$"
    with Session(network) as session, pytest.raises(UsageError, match=message):
        session.run(network.time_steps)


def test_a_process_that_fails_ends_the_run_with_its_traceback() -> None:
    network = CLIFNetwork(artifact(rod()), STEPS, sides=["left"])
    heater = heated(network, "left", np.zeros(network.time_steps, np.int64))
    heater.proc_params._parameters["fails_at"] = 5
    with Session(network) as session, pytest.raises(CheckError) as failed:
        session.run(network.time_steps)
    assert "raised ArithmeticError: the heater burned out" in str(failed.value)
    assert "models.py" in str(failed.value)


def test_a_run_that_cannot_go_on_meets_its_deadline() -> None:
    network = CLIFNetwork(artifact(rod()), STEPS, sides=["left"])
    heater = Heater(np.zeros(network.time_steps, np.int64), (1,))
    relay = Heater(np.zeros(network.time_steps, np.int64), (1,))
    relay.heat.connect(heater.field)
    heater.heat.connect(relay.field)  # each waits for the other
    heater.heat.connect(network.side("left"))
    with Session(network, deadline_seconds=2) as session, pytest.raises(CheckError) as failed:
        session.run(network.time_steps)
    assert str(failed.value) == (
        f"{network.time_steps} time steps were not done within 2 s; increase `deadline_seconds`, or look for a process "
        "that waits for a message that nobody sends"
    )


def test_the_audit_stops_a_broken_network() -> None:
    graph = rod()
    route = graph.synapses[-1]
    mantissas = route.mantissas.copy()
    mantissas[4] *= 2
    broken = replace(graph, synapses=(*graph.synapses[:-1], route.with_mantissas(mantissas)))
    network = CLIFNetwork(artifact(broken), STEPS)
    with Session(network) as session, pytest.raises(InvariantViolation, match=r"^local invariant broken: membrane \["):
        session.run(network.time_steps)
    run = network.result()
    assert run.violations["local"] > 0 and not run.conserved


def test_more_steps_than_a_network_was_created_for_are_refused() -> None:
    network = CLIFNetwork(artifact(rod()), 2)
    with Session(network) as session:
        session.run(network.time_steps)
        message = "^PDE step 3: the network was created for 2 steps; create it for more$"
        with pytest.raises(UsageError, match=message):
            session.run(network.period)


def test_plain_lava_runs_it_as_well() -> None:
    graph = rod()
    network = CLIFNetwork(artifact(graph), STEPS)
    try:
        network.run(RunSteps(num_steps=network.time_steps), Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        network.stop()
    expected = run_graph("fast", graph, graph.initial, RunOptions(STEPS))
    assert np.array_equal(network.result().trace.mass, expected.trace.mass)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda g: CLIFNetwork(artifact(g), 2, sides=["lefd"]), "side 'lefd': cannot be set; did you mean left?"),
        (lambda g: CLIFNetwork(artifact(g), 2, sides=["left"] * 2), "side 'left': is named twice"),
        (lambda g: CLIFNetwork(artifact(g), 0), "`steps` 0: expected a whole number, at least 1"),
        (lambda g: CLIFNetwork(artifact(g), 2, every=0), "`every` 0: expected a whole number, at least 1"),
        (
            lambda g: CLIFNetwork(artifact(g), 2, probe="fluxx"),
            "`probe` fluxx: no population has the name 'fluxx'; did you mean flux?",
        ),
        (lambda g: CLIFNetwork(artifact(g), 2, initial=[1.0]), "`initial`: has 1 values, the graph has 8 cells"),
        (
            lambda g: CLIFNetwork(artifact(g), 2, initial="warm"),
            "`initial`: not an array of numbers (could not convert string to float: 'warm')",
        ),
        (
            lambda g: CLIFNetwork(artifact(g), 2, initial=[float("nan")] * 8),
            "cell 0: value nan is not a finite number of at most 2^53 quanta",
        ),
        (
            lambda g: CLIFNetwork(artifact(g), 2).side("left"),
            "side 'left': was not named in `sides`; there are none",
        ),
        (
            lambda g: CLIFNetwork(artifact(g), 2).spikes("fluks"),
            "no population has the name 'fluks'; did you mean flux?",
        ),
        (
            lambda g: CLIFNetwork(artifact(g), 2).spikes("flux", "packed"),
            "flux: has no output 'packed'; did you mean packet?",
        ),
        (lambda g: CLIFNetwork(artifact(g), 2).mass("v"), "no field has the name 'v'; there are u"),
        (
            lambda g: Session(CLIFNetwork(artifact(g), 2)).run(1),
            "the session is not running; use it as `with Session(process) as session:`",
        ),
    ],
)
def test_wrong_use_is_refused(made: Callable[[IntegerGraph], object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        made(rod())
    assert str(refused.value) == message


def test_what_has_no_sides_or_only_lavas_processes_says_so() -> None:
    with pytest.raises(
        UsageError, match=r"^sides left: heat1d has no sides that can be set: it has none with a value$"
    ):
        CLIFNetwork(artifact(compiled(cells=8)), 2, sides=["left"])
    message = r"^sides left: cannot handle a graph with binary spikes; compile it for a target with graded spikes$"
    with pytest.raises(UsageError, match=message):
        CLIFNetwork(artifact(binary_box(heat_model(), (8,), "dirichlet=0,1")), 2, sides=["left"])
    with pytest.raises(
        UsageError, match=r"^CLIFNetwork: cannot handle a graph whose faces .* without `processes` stock$"
    ):
        CLIFNetwork(artifact(stock_box(shape=(8,))), 2)


def test_a_start_outside_the_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^the state at PDE step 0: "):
        CLIFNetwork(artifact(rod()), 2, initial=np.full(8, 1e3))


def test_a_network_leaves_nothing_behind(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import pisnn_deploy as pd\n"
        "from pisnn_deploy.lava import CLIFNetwork, Session\n"
        "network = CLIFNetwork(pd.compile('heat1d', mesh=8), 2)\n"
        "with Session(network) as session:\n"
        "    session.run(network.time_steps)\n"
        "print(network.result().verdict.word)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (0, "conserved\n"), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.py"]


def test_the_package_imports_without_lava() -> None:
    code = (
        "import sys, pisnn_deploy.lava as l; assert 'lava' not in sys.modules; l.Session; assert 'lava' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match=r"^module 'pisnn_deploy\.lava' has no attribute 'Sesion'$"):
        __import__("pisnn_deploy.lava").lava.Sesion  # noqa: B018

"""A rod whose left end is heated by a thermostat, as one Lava program: python run.py."""

import numpy as np
from parts.thermostat import Thermostat

import pisnn_deploy as pisnn
from pisnn_deploy.lava import CLIFNetwork, Session

CELLS, STEPS, SENSOR, TARGET = 32, 400, 8, 0.5


def main():
    """Compile the rod, connect the thermostat, run both on Lava's CPU simulator."""
    artifact = pisnn.compile("heat1d", mesh=CELLS, boundary="x-=dirichlet=0 x+=no-flux", value_range=(0, 2))
    rod = CLIFNetwork(artifact, STEPS, initial=np.zeros(CELLS), sides=["left"], probe=["flux:0"])
    cold, hot, target = (rod.quanta(value) for value in (0.0, 1.0, TARGET))
    thermostat = Thermostat(rod.mass().shape, SENSOR, target, cold, hot)
    rod.mass().connect(thermostat.field)
    thermostat.heat.connect(rod.side("left"))

    with Session(rod) as session:
        session.run(rod.time_steps)
        heated = int(thermostat.heated.get()[0])

    run = rod.result()
    temperature = artifact.graph.values(run.trace.mass[-1])
    gain = run.ledgers()["u"]["left"]
    print(f"{run.steps} PDE steps, heated in {heated} of {rod.time_steps} time steps")
    print(f"sensor: {temperature[SENSOR]:.3f}, target {TARGET}")
    print(f"the left end gave {-gain.quanta} quanta, the rod has {int(run.trace.mass[-1].sum())}")
    print(f"packets through the left end: {np.count_nonzero(rod.recorded_spikes('flux'))}")
    print(run.verdict.word)


if __name__ == "__main__":  # Lava executes the files beside those of processes
    main()

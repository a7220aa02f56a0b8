"""Laplace with a leak: the leak of the C-LIF as momentum, and reservoirs whose ledgers close the balance.

Run it with ``python run.py``. The steady state of a damped wave is reached in far fewer PDE steps than that of
diffusion: the current of a face keeps most of itself from one step to the next. The leak takes from the current and
never from a membrane, so not one quantum is lost on the way.
"""

import pisnn_deploy as pisnn
from pisnn_deploy.graph.kinds import known_face

artifact = pisnn.compile("laplace2d", mesh=(32, 32), profile="loihi2")
face = known_face(artifact.graph)
print(f"a current keeps {1 - face.leak / 4096:.3f} of itself in each PDE step")

run = artifact.simulate(backend="fast")
trace = run.run.trace
print(run)
print("relative L2 error against the exact solution:", run.relative_l2)

# What the cells gained is what the reservoirs behind the walls gave, to the quantum, in every kept step.
for mass, ledger in zip(trace.mass, trace.ledger, strict=True):
    assert int(mass.sum()) + int(ledger.sum()) == int(trace.mass[0].sum())
print("given by the reservoirs:", -int(trace.ledger[-1].sum()), "quanta")

run.plot("laplace_with_a_leak.png")

"""Deploy physics-informed spiking neural networks as integers that conserve mass exactly.

From Python::

    import pisnn_deploy as pisnn

    artifact = pisnn.compile("heat1d", profile="loihi2")
    run = artifact.simulate(steps=1000)
    run.verdict
    run.plot()
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, which takes longer to import than the command takes to answer Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from pisnn_deploy.api import CompiledArtifact, ConvergenceStudy, SimulationRun, compile, converge, load, train

__version__ = "0.1.0"
__all__ = [
    "CompiledArtifact",
    "ConvergenceStudy",
    "SimulationRun",
    "__version__",
    "compile",
    "converge",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    # Only when it is asked for: `pisnn-deploy --help` imports this module and needs neither numpy nor the compiler.
    if name in __all__:
        from pisnn_deploy import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

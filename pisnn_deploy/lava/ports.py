"""Ports and memories of the models of our processes, shared by all models of a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.audit_input import AUDIT_PORTS
from pisnn_deploy.lava.plan import OUTPUTS, PORTS
from pisnn_deploy.lava.steering import SIDES

Model = TypeVar("Model", bound=PyLoihiProcessModel)


def numbered(name: str, count: int, kind: Any, dtype: type[np.integer[Any]]) -> Callable[[type[Model]], type[Model]]:
    """Return a decorator that adds numbered ports to a model class.

    Parameters
    ----------
    name : str
        Name before the number.
    kind : type
        Type of Lava's ports.
    dtype : type
        Type of their messages.
    """

    def add(model: type[Model]) -> type[Model]:
        for number in range(count):
            setattr(model, f"{name}{number}", LavaPyType(kind, dtype))
        return model

    return add


def ports_of(model: PyLoihiProcessModel, name: str, count: int) -> tuple[Any, ...]:
    """Return the first ports from `numbered`; Lava creates them after the model."""
    return tuple(getattr(model, f"{name}{number}") for number in range(count))


@numbered("in", PORTS, PyInPort.VEC_DENSE, np.int64)
@numbered("out", OUTPUTS, PyOutPort.VEC_DENSE, np.int32)
@numbered("side", SIDES, PyInPort.VEC_DENSE, np.int64)
class PortsOfNeurons(PyLoihiProcessModel):
    """Base class of the models of `Neurons`."""

    audit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    arrived: Integers = LavaPyType(np.ndarray, np.int64)
    kept: Integers = LavaPyType(np.ndarray, np.int64)


@numbered("in", AUDIT_PORTS, PyInPort.VEC_DENSE, np.int64)
class PortsOfAudit(PyLoihiProcessModel):
    """Base class of the models of `Audit`."""

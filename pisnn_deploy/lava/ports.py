"""Ports and memories of the models of our processes: whatever takes a model's place has the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType

from pisnn_deploy.graph.integer import Integers
from pisnn_deploy.lava.hearing import EARS
from pisnn_deploy.lava.plan import OUTPUTS, PORTS

Model = TypeVar("Model", bound=PyLoihiProcessModel)


def numbered(name: str, count: int, kind: Any, dtype: type[np.integer[Any]]) -> Callable[[type[Model]], type[Model]]:
    """Give a class of models ports that differ in their number.

    Parameters
    ----------
    name : str
        Before the number.
    count : int
    kind : type
        Of Lava's ports.
    dtype : type
        Of what goes through them.
    """

    def add(model: type[Model]) -> type[Model]:
        for number in range(count):
            setattr(model, f"{name}{number}", LavaPyType(kind, dtype))
        return model

    return add


def ports_of(model: PyLoihiProcessModel, name: str, count: int) -> tuple[Any, ...]:
    """The first of the ports that `numbered` gave to a model; Lava makes them after the model."""
    return tuple(getattr(model, f"{name}{number}") for number in range(count))


@numbered("in", PORTS, PyInPort.VEC_DENSE, np.int64)
@numbered("out", OUTPUTS, PyOutPort.VEC_DENSE, np.int32)
class PortsOfNeurons(PyLoihiProcessModel):
    """A model of the process `Neurons`."""

    audit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    arrived: Integers = LavaPyType(np.ndarray, np.int64)
    kept: Integers = LavaPyType(np.ndarray, np.int64)


@numbered("in", EARS, PyInPort.VEC_DENSE, np.int64)
class PortsOfAudit(PyLoihiProcessModel):
    """A model of the process `Audit`."""

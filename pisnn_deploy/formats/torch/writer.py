"""Write a graph as a PyTorch module of integer tensors and its constants."""

from __future__ import annotations

import io
import keyword
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy import __version__
from pisnn_deploy.core.archive import zip_bytes
from pisnn_deploy.formats.step import StepBuilder
from pisnn_deploy.formats.torch.program import TorchLines
from pisnn_deploy.formats.torch.text import MODULE
from pisnn_deploy.formats.trace import first_steps
from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.currents import first_kept_current
from pisnn_deploy.graph.integer import IntegerGraph, Integers

MODULE_FILE, NUMBERS_FILE = "network.py", "numbers.npz"
_RESULTS = ("mass_next", "current_next", "residue_next", "step_next", "packets")
_NPY: Any = np.lib.format
"""numpy has no type hints for this module."""


def torch_files(graph: IntegerGraph, artifact_sha256: str = "") -> dict[str, bytes]:
    """Build the module and its constants.

    Parameters
    ----------
    graph : IntegerGraph
        Fully compiled graph whose claims hold: nothing in the module checks widths.
    artifact_sha256 : str
        Hash for the metadata.

    Returns
    -------
    dict of str to bytes
        Content by file name, reproducible byte for byte.
    """
    step = TorchStep(graph)
    step.step({name: name for name in step.states})
    results = [*(f"{name}_next" for name in step.states), "packets"]
    quanta = {part.name: part.value_per_quantum for part in graph.fields}
    source = MODULE.format(
        version=__version__,
        sha256=repr(artifact_sha256),
        time_step=repr(graph.time_step),
        quanta=repr(quanta),
        states=", ".join(step.states),
        arguments="".join(f", {name}: torch.Tensor" for name in step.states),
        statements="\n".join(f"        {line}" for line in step.lines),
        results=", ".join(results),
    )
    return {MODULE_FILE: source.encode(), NUMBERS_FILE: _numbers(graph, step)}


@dataclass
class TorchStep(StepBuilder):
    """Statements and constants of one PDE step.

    Attributes
    ----------
    lines : list of str
        Statements.
    buffers : dict of str to array
        Constants by the name of their buffer.
    """

    lines: list[str] = field(default_factory=list)
    buffers: dict[str, NDArray[np.integer[Any]]] = field(default_factory=dict)
    _names: set[str] = field(default_factory=lambda: {"self", "torch"}, init=False)

    def _new_name(self, name: str) -> str:
        """Make an identifier that is not in use, because names in artifacts may be any text."""
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        if plain[:1].isdigit() or keyword.iskeyword(plain):
            plain = f"v_{plain}"
        unique, number = plain, 2
        while unique in self._names.union(self.states, _RESULTS):
            unique, number = f"{plain}_{number}", number + 1
        self._names.add(unique)
        return unique

    def assigned(self, name: str, expression: str) -> str:
        """Add an assignment and return its target."""
        target = name if name in _RESULTS else self._new_name(name)
        self.lines.append(f"{target} = {expression}")
        return target

    def node(self, operator: str, inputs: Sequence[str], output: str) -> str:
        """Add a statement."""
        return self.assigned(output, _EXPRESSIONS[operator].format(*inputs, all=", ".join(inputs)))

    def constant(self, name: str, values: NDArray[np.integer[Any]]) -> str:
        """Add a buffer."""
        buffer = self._new_name(f"of_{name}")
        self.buffers[buffer] = np.ascontiguousarray(values, np.int64)
        return f"self.{buffer}"

    def reader(self, prefix: str, names: dict[str, str]) -> TorchLines:
        """Reader of programs that adds statements."""
        # With a slash, no value has the name of a result.
        return TorchLines(self, f"{prefix.removesuffix('_')}/", names)

    def weighted(self, values: str, columns: NDArray[np.int32], weights: Integers, name: str) -> str:
        """Add a statement."""
        gathered = f"{values}[..., {self.constant(f'{name}/from', columns)}]"
        return self.assigned(f"{name}/sum", f"({gathered} * {self.constant(f'{name}/weight', weights)}).sum(-1)")


_EXPRESSIONS = {
    "Identity": "{0}",
    "Add": "{0} + {1}",
    "Mul": "{0} * {1}",
    "Mod": "{0} % {1}",
    "Min": "torch.minimum({0}, {1})",
    "Gather": "{0}[..., {1}]",
    "Concat": "joined(mass, {all})",
}


def _numbers(graph: IntegerGraph, step: TorchStep) -> bytes:
    """Constants of the module, its start, and the masses after the first steps."""
    start = columns_of(graph).holdings(graph.initial)
    after, steps = start, 0
    for states, _ in first_steps(graph):
        after = np.concatenate([next(iter(states[part.holder].values())) for part in graph.fields])
        steps += 1
    arrays = {
        **step.buffers,
        "start_mass": start,
        "start_current": first_kept_current(graph, graph.initial),
        "tested_mass": after,
        "tested_steps": np.array(steps),
    }
    members = {}
    for name, array in arrays.items():
        member = io.BytesIO()
        _NPY.write_array(member, np.asarray(array, np.int64), version=(1, 0), allow_pickle=False)
        members[f"{name}.npy"] = member.getvalue()
    return zip_bytes(members, zipfile.ZIP_DEFLATED)

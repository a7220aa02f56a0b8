"""Orders of convergence in Python."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pisnn_deploy.api.table import html_table
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.printable import printable
from pisnn_deploy.project.converge_request import NORMS, ConvergeKeywords, Meshes, converge_request
from pisnn_deploy.project.convergence import Convergence, MeshErrors
from pisnn_deploy.project.convergence import converge as measured
from pisnn_deploy.project.keywords import FileName
from pisnn_deploy.project.listener import Progress, listener_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from typing_extensions import Unpack


def converge(
    model: FileName, meshes: Meshes, *, progress: Progress | None = None, **options: Unpack[ConvergeKeywords]
) -> ConvergenceStudy:
    """Measure the order of convergence of a model or a law.

    Parameters
    ----------
    model : str or path
        Model of the zoo, checkpoint, or law by name or file.
    meshes : str or sequence
        At least two, such as ``"32,64,128"`` or ``[(32, 32), (64, 64)]``.
    progress : callable, optional
        Called with the number of completed PDE steps of each run.
    **options
        The options of ``pisnn-deploy converge``: profile and boundary as for `compile`; time, norm (``"l1"``, ``"l2"``
        or ``"largest"``) and scheme, the float scheme beside a law, documented as fields of `ConvergeRequest`.

    Raises
    ------
    UsageError
        It cannot be compiled for a mesh, or nothing is known to compare it with.
    CheckError
        A run lost mass.

    Examples
    --------
    >>> import pisnn_deploy as pisnn
    >>> study = pisnn.converge("heat1d", [32, 64])
    >>> round(study.order["u"])
    4
    """
    result = measured(converge_request(model, meshes, **options), listener_of(progress))
    result.require_conserved()
    return ConvergenceStudy(result)


class ConvergenceStudy:
    """Errors of a model or a law on several meshes."""

    def __init__(self, result: Convergence) -> None:
        self.result = result

    @property
    def meshes(self) -> tuple[MeshErrors, ...]:
        """Errors on each mesh, coarsest first."""
        return self.result.meshes

    @property
    def order(self) -> dict[str, float | None]:
        """Order of the integers by field, fitted through all meshes; None where an error is unknown or 0."""
        return {field: self.result.fitted_order(field) for field in self.result.fields}

    def require_order(self, least: float) -> None:
        """Fail if the errors of a field fall more slowly than at an order.

        Raises
        ------
        CheckError
            Says of which field, and what the orders are without quanta and in floats.
        """
        self.result.require_order(least)

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw errors over cells per axis, both logarithmic.

        Parameters
        ----------
        path : str or path, optional
            File to write as PNG, in addition.
        """
        require("plot", "matplotlib")
        from pisnn_deploy.report.order_picture import draw_orders, figure_of_orders

        drawn = self.result.title, self.result.shapes, self.result.lines, NORMS[self.result.norm]
        if path is not None:
            draw_orders(Path(path), *drawn)
        return figure_of_orders(*drawn)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of ``converge --json``."""
        return self.result.to_dict()

    @property
    def _rows(self) -> dict[str, str]:
        rows = {}
        for mesh in self.meshes:
            errors = (f"{name} {each.integers:.2e}" for name, each in mesh.errors.items() if each.integers is not None)
            rows["x".join(map(str, mesh.mesh))] = ", ".join(errors)
        orders = (f"{name} {order:.2f}" for name, order in self.order.items() if order is not None)
        return {**rows, "order": ", ".join(orders) or "unknown"}

    def __repr__(self) -> str:
        summary = ", ".join(f"{name}: {text}" for name, text in self._rows.items())
        return printable(f"<ConvergenceStudy {self.result.title}; {summary}>")

    def _repr_html_(self) -> str:
        return html_table(f"{self.result.title}: {NORMS[self.result.norm]}", self._rows)

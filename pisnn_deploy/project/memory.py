"""Meshes that need more memory than is free are refused before the work."""

from __future__ import annotations

from pisnn_deploy.core.errors import UsageError


def require_memory(cells: int, needed: float, available: int, remedy: str = "choose a coarser `mesh`") -> None:
    """Refuse a mesh that needs more memory than is free.

    Parameters
    ----------
    needed, available : float
        Bytes.

    Raises
    ------
    UsageError
        There is too little.
    """
    if needed > available:
        raise UsageError(
            f"{cells} cells take about {needed / 1e9:.0f} GB to compile, {available / 1e9:.0f} GB are free; {remedy}"
        )

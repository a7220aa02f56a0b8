"""Older entry point for scripts; `pisnn_deploy.compile` does the same."""

from __future__ import annotations

from typing import Any

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.request import compile_request


def compile_file(model: str, *, limits: str | None = None, **options: Any) -> tuple[IntegerGraph, dict[str, Any]]:
    """Compile a model; return the graph and its provenance.

    Parameters
    ----------
    model : str
        Name of a trained model, or a file.
    limits : str, optional
        Lowest and highest cell value, ``LOWER,UPPER``.
    **options
        Options of `pisnn_deploy.compile`.
    """
    return compile_requested(compile_request(model, value_range=limits, **options))

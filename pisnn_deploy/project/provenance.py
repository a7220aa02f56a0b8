"""Provenance of a compiled graph as plain data."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from pisnn_deploy import __version__
from pisnn_deploy.compiler.options import GraphOptions
from pisnn_deploy.graph.integer import Coding
from pisnn_deploy.target import Profile, digest_of_profile


def provenance_of(
    model: str, sha256: str, target: Profile, graph: GraphOptions, coding: Coding, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Provenance of a graph.

    Parameters
    ----------
    model, sha256 : str
        Name of the model, and hash of its file.
    coding : str
        Coding of the graph.
    options : mapping
        Further options of the request, which take precedence over these.
    """
    return {
        "model": model,
        "model_sha256": sha256,
        "options": {
            "profile": target.name,
            "profile_sha256": digest_of_profile(target),
            "coding": coding,
            "placement": graph.placement,
            "spikes": graph.spikes,
            "files": {},
            **options,
        },
        "versions": {"pisnn-deploy": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }

"""A worker whose network has one faulty model: ``python faulty_worker.py FAULT REQUEST.json``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from pisnn_deploy.lava.worker import serve


def faulty_models() -> Mapping[type, type]:
    """The faulty model by process class."""
    models: Mapping[type, type] = importlib.import_module(f"faults.{sys.argv[1]}.models").REPLACED_MODELS
    return models


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[2]), faulty_models))

"""Worker of the `cpu` backend with models that compute nothing: ``python idle_worker.py REQUEST.json``."""

from __future__ import annotations

import sys
from pathlib import Path

from pisnn_deploy.lava.worker import serve


def idle_models() -> dict[type, type]:
    """Import the models without arithmetic; this imports Lava, which `serve` must prepare first."""
    from idle_models.models import IDLE_MODELS

    return dict(IDLE_MODELS)


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1]), idle_models))

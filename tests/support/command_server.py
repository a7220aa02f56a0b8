"""A process that has every command loaded and runs each in a fork of itself; started by `commands`.

A fork has a current folder, an environment, standard streams, signals and modules of its own, so nothing passes from
one command to the next. It begins where the installed command does. What differs is what is loaded already: tests of
imports, of limits and of surroundings start the installed command instead.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from fork_server import Request, serve

COMMANDS = "models train compile simulate converge campaign verify check export inspect profiles doctor completion"
PRELOADED = (
    *(f"pisnn_deploy.cli.commands.{name}" for name in COMMANDS.split()),
    "pisnn_deploy.lava.backend",
    "pisnn_deploy.report.picture",
    "pisnn_deploy.runs.fast",
    "pisnn_deploy.runs.kernels.stepper",
    "pisnn_deploy.training.checkpoint",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "torch",
)


def run(request: Request) -> int:
    """Run the command as its script does; the exit code."""
    sys.argv[:] = request.words
    sys.path[0] = str(Path(request.words[0]).parent)
    try:
        from pisnn_deploy.cli.start import main

        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(int(sys.argv[1]), PRELOADED, run)

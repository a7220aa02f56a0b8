"""Work on files of others in a Python process of its own, which may die or hang."""

from __future__ import annotations

import subprocess

from pisnn_deploy.core.surroundings import NEUTRAL, child_environment, python_command


def run_apart(statements: str, data: bytes, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """Run statements of this very package, with one thread for linear algebra.

    Parameters
    ----------
    statements : str
        Python, after ``import sys``.
    data : bytes
        Its standard input.
    seconds : float
        How long to wait.

    Returns
    -------
    CompletedProcess
        With its standard output; libraries' own messages on standard error are to be shown to nobody.

    Raises
    ------
    OSError
        No process could be started.
    """
    return subprocess.run(
        python_command(statements),
        cwd=NEUTRAL,
        input=data,
        capture_output=True,
        timeout=seconds,
        env={**child_environment(), "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )

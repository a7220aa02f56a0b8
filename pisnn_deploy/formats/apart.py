"""Process untrusted files in a separate Python process, which may crash or hang."""

from __future__ import annotations

import subprocess

from pisnn_deploy.core.surroundings import NEUTRAL, child_environment, python_command


def run_apart(statements: str, data: bytes, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """Run Python statements with this copy of the package, with one thread for linear algebra.

    Parameters
    ----------
    statements : str
        Statements to run after ``import sys``.
    data : bytes
        Standard input of the process.
    seconds : float
        Time limit.

    Returns
    -------
    CompletedProcess
        Result with standard output. Standard error has messages of libraries and must not be shown.

    Raises
    ------
    OSError
        The process could not be started.
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

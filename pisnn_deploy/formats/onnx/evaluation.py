"""Run onnxruntime in a separate process with limited memory and time.

That process runs this module, too: it reads a model written by `pisnn_deploy.formats.onnx.replica`.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.optional import require
from pisnn_deploy.formats.apart import run_apart

SECONDS = 60.0
"""Time limit; a second is usual."""
LARGEST_MEMORY = 1 << 32
"""Limit of the address space in bytes."""
LONGEST_REASON = 200
REFUSED = 3
"""Exit code if standard output has a reason."""
_START = "from pisnn_deploy.formats.onnx.evaluation import main; sys.exit(main())"


def evaluated(path: Path, model: bytes, fields: NDArray[Any], seconds: float = SECONDS) -> list[NDArray[Any]]:
    """Run a model on one input after another.

    Parameters
    ----------
    path : Path
        Original file, for error messages.
    model : bytes
        Model written by this package.
    fields : array [n, *shape]
        Inputs of each run.

    Returns
    -------
    list of arrays
        Output of each run.

    Raises
    ------
    FileError
        onnxruntime rejects the model, crashes, or takes too long.
    UsageError
        onnxruntime is not installed.
    """
    require("comparing", "onnxruntime")
    buffer = io.BytesIO()
    np.savez(buffer, model=np.frombuffer(model, np.uint8), fields=fields)
    try:
        done = run_apart(_START, buffer.getvalue(), seconds)
    except subprocess.TimeoutExpired as error:
        raise FileError(path, f"could not be compared: onnxruntime took longer than {seconds:g} seconds") from error
    except OSError as error:
        raise FileError(path, f"could not be compared: no process could be started ({error.strerror})") from error
    try:
        if done.returncode == 0:
            with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
                return [archive[f"a{at}"] for at in range(len(fields))]
        if done.returncode == REFUSED:
            raise FileError(path, f"could not be compared: onnxruntime cannot run it ({json.loads(done.stdout)})")
    except (ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        raise FileError(path, "could not be compared: the output of onnxruntime is invalid") from error
    raise FileError(path, "could not be compared: onnxruntime crashed")


def main() -> int:
    """Run a model from standard input, and write its outputs to standard output as an ``.npz``.

    Returns
    -------
    int
        0, or `REFUSED` with a reason as JSON on standard output.
    """
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = LARGEST_MEMORY if hard == resource.RLIM_INFINITY else min(hard, LARGEST_MEMORY)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as archive:
            answers = run(bytes(archive["model"]), archive["fields"])
    except Exception as error:
        reason = " ".join(str(error).split()).replace("[ONNXRuntimeError] : ", "")[:LONGEST_REASON]
        sys.stdout.write(json.dumps("".join(c if c.isprintable() else " " for c in reason)))
        return REFUSED
    np.savez(sys.stdout.buffer, **{f"a{at}": answer for at, answer in enumerate(answers)})
    return 0


def run(model: bytes, fields: NDArray[Any]) -> list[NDArray[Any]]:
    """Run a model in this process; see `evaluated`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    # Run operators one by one as specified, because fused ones round differently.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [session.run(None, {name: field})[0] for field in fields]

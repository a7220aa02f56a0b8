"""Whether an MPI launcher started this process, and with which others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.core.optional import require

if TYPE_CHECKING:
    from pisnn_deploy.runs.domains.ranks import Ranks

_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PALS_SIZE")
"""Variables in which launchers give the number of ranks: MPICH and its relatives, Open MPI, PALS."""
_RANKS = ("PMIX_RANK", "PMI_RANK")
"""Variables that launchers set which do not give the number."""
_INTERRUPTED = 130


def is_launched(environment: Mapping[str, str] | None = None) -> bool:
    """Whether an MPI launcher such as ``mpirun`` started this process, with more than one rank as far as it says."""
    values = os.environ if environment is None else environment
    sizes = [values[name] for name in _SIZES if name in values]
    if sizes:
        return any(size.strip() != "1" for size in sizes)
    return any(name in values for name in _RANKS)


def launched_ranks() -> Ranks | None:
    """All ranks that a launcher started, or None for a process on its own.

    Raises
    ------
    UsageError
        mpi4py or llvmlite is missing.
    """
    if not is_launched():
        return None
    require("a run under an MPI launcher", "mpi4py", "llvmlite")
    from pisnn_deploy.runs.domains.ranks import Ranks

    ranks = Ranks()
    return ranks if ranks.count > 1 else None


_KILLED = (
    "a rank was killed, so all were ended; a run with --save goes on from its last checkpoint by the same command with "
    "--resume\n"
)
_WITNESS = "import sys; sys.stdin.buffer.read(1) or sys.stderr.write(sys.argv[1])"
"""Says why the run ended if this process dies without a word, because launchers kill all ranks by a signal that nothing
can handle. In a session of its own, which they do not kill."""


@contextmanager
def led(ranks: Ranks | None) -> Iterator[None]:
    """Let the other ranks serve this one, and end with it."""
    if ranks is None:
        yield
        return
    words = [sys.executable, "-I", "-S", "-c", _WITNESS, _KILLED]
    witness = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    code = 0
    try:
        yield
    except KeyboardInterrupt:
        code = _INTERRUPTED
        raise
    except PisnnError as error:
        code = error.exit_code
        raise
    except BaseException:
        code = 1
        raise
    finally:
        witness.communicate(b".")
        ranks.release(code)

"""Entry point of the command. Import it nowhere else: importing it sets the handler of Ctrl-C.

Modules imported before the handler is set would show a traceback instead.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # like typing's, which is slow to import
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Exit at once: nothing has begun that needs cleaning up."""
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # ignored in a shell's background jobs
    signal.signal(signal.SIGINT, _leave)


def main() -> None:
    """Run the command line and exit."""
    # No other installed package may change how files are read; and pydantic would look through all of them.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Threads of BLAS wait by spinning, which costs more than they save on matrices as small as ours.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from pisnn_deploy.cli.main import main as run

    try:
        run()
    except KeyboardInterrupt:
        _leave(signal.SIGINT, None)
    finally:
        # Ctrl-C during Python's own shutdown would print tracebacks.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()

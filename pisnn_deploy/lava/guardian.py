"""End processes together with their parents."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Signal this process when its parent dies.

    Parameters
    ----------
    parent : int
        Process id of the parent, to detect that it has already died.
    number : Signals
        Signal to send.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def end_with_standard_input(clean_up: Callable[[], None], grace_seconds: float = 3.0) -> None:
    """End this process and its group when standard input is closed, such as by the parent's death.

    This also works on systems other than Linux.

    Parameters
    ----------
    clean_up : callable
        Called before the group is killed: a large network may take longer than the grace to end by itself.
    grace_seconds : float
        Time between SIGTERM and killing the group.
    """

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_seconds)
        clean_up()
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def guard_forked_children() -> None:
    """Make future forked children die with this process and ignore Ctrl-C."""
    worker = os.getpid()

    def in_child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if os.getppid() == worker:
            die_with_parent(worker, signal.SIGKILL)

    os.register_at_fork(after_in_child=in_child)

"""Callbacks that report on a run or a training while it goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

Progress = Callable[[int], None]
"""Called with the number of steps done so far."""


@contextmanager
def _unseen(title: str, total: int) -> Iterator[Progress]:
    """Discard progress."""
    yield lambda done: None


@dataclass(frozen=True)
class Listener:
    """Callbacks that report on a run or a training while it goes on.

    Attributes
    ----------
    progress : callable
        Called with a title and a total; returns a context that gives a `Progress`.
    say : callable
        Called with a sentence for the user.
    """

    progress: Callable[[str, int], AbstractContextManager[Progress]] = _unseen
    say: Callable[[str], None] = lambda sentence: None


UNHEARD = Listener()
"""Listener that discards everything."""


def listener_of(progress: Progress | None) -> Listener:
    """Listener for the Python API: calls the given function, and issues Python warnings."""

    def warn(sentence: str) -> None:
        warnings.warn(sentence.removeprefix("warning: "), stacklevel=3)

    return Listener(_unseen if progress is None else lambda title, total: nullcontext(progress), warn)

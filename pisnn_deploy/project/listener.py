"""Who hears of a run or a training while it goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

Progress = Callable[[int], None]
"""Called with what is done so far."""


@contextmanager
def _unseen(title: str, total: int) -> Iterator[Progress]:
    """Progress that nobody sees."""
    yield lambda done: None


@dataclass(frozen=True)
class Listener:
    """Who hears of a run or a training while it goes on.

    Attributes
    ----------
    progress : callable
        From a title and a number of a total to a context that gives a `Progress`.
    say : callable
        Takes a sentence.
    """

    progress: Callable[[str, int], AbstractContextManager[Progress]] = _unseen
    say: Callable[[str], None] = lambda sentence: None


UNHEARD = Listener()
"""Nobody."""


def listener_of(progress: Progress | None) -> Listener:
    """A listener for Python: it calls what is given, and warns by Python's own warnings."""

    def warn(sentence: str) -> None:
        warnings.warn(sentence.removeprefix("warning: "), stacklevel=3)

    return Listener(_unseen if progress is None else lambda title, total: nullcontext(progress), warn)

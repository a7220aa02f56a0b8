"""Runs a session in a thread at a chosen pace, and does what people ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.live.scene import Observer, Scene, described
from pisnn_deploy.live.session import Session

FASTEST = 1_000_000.0
"""Largest speed in PDE steps per second; faster than most machines."""
MOST_AT_ONCE = 1000
"""Maximum number of PDE steps of one request."""
SLICE_SECONDS, LONGEST_SLICE_SECONDS = 0.05, 0.25
_BREATH = 0.005
"""Seconds between slices in which requests are heard."""
LONGEST_FAULT = 200
"""Maximum number of characters of a fault."""


class Player:
    """Plays a session.

    Attributes
    ----------
    description : mapping
        What never changes, as data for JSON.
    scene : Scene
        The last scene.
    """

    def __init__(self, session: Session, speed: float) -> None:
        self._session, self._observer = session, Observer(session)
        self._speed, self._runs, self._closed = speed, False, False
        self._turn = threading.Condition()
        self.description = described(session.graph, self._observer.view, session.last_step)
        self.scene: Scene = self._observer.scene()
        self._revision = 0
        self._thread = threading.Thread(target=self._play, name="player", daemon=True)
        self._thread.start()

    def document(self, field: str) -> dict[str, Any]:
        """The last scene and the state of the player, as data for JSON.

        Parameters
        ----------
        field : str
            Name of the field whose values it has (unknown: the first).
        """
        return self.scene.document(field) | {"runs": self._runs, "speed": self._speed, "revision": self._revision}

    def close(self) -> None:
        """Stop the thread and close the session."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._session.close()

    def do(self, request: Mapping[str, Any]) -> str:
        """Do what a person asks.

        Parameters
        ----------
        request : mapping
            ``do`` is ``run``, ``pause``, ``step`` (with ``steps``), ``reset``, ``speed`` (with ``speed``) or ``fault``
            (with ``fault`` and ``recover``).

        Returns
        -------
        str
            What was done, in one sentence, or an empty string.

        Raises
        ------
        UsageError
            The request cannot be done.
        """
        deeds = {
            "run": self._run,
            "pause": self._pause,
            "step": self._step,
            "reset": self._reset,
            "speed": self._change_speed,
            "fault": self._fault,
        }
        name = request.get("do")
        deed = deeds.get(name) if isinstance(name, str) else None
        if deed is None:
            raise UsageError(f"unknown request; use {', '.join(deeds)}")
        with self._turn:
            said = deed(request)
            self._show()
            self._turn.notify_all()
        return said

    def _run(self, request: Mapping[str, Any]) -> str:
        if self._session.has_ended:
            raise UsageError("the run has ended; reset it first")
        self._runs = True
        return ""

    def _pause(self, request: Mapping[str, Any]) -> str:
        self._runs = False
        return ""

    def _step(self, request: Mapping[str, Any]) -> str:
        steps = request.get("steps", 1)
        if not isinstance(steps, int) or isinstance(steps, bool) or not 1 <= steps <= MOST_AT_ONCE:
            raise UsageError(f"steps: must be an integer from 1 to {MOST_AT_ONCE}")
        if self._session.has_ended:
            raise UsageError("the run has ended; reset it first")
        self._runs = False
        self._session.advance(steps)
        return ""

    def _reset(self, request: Mapping[str, Any]) -> str:
        self._runs = False
        self._session.reset()
        self._observer.forget()
        return "back at the start"

    def _change_speed(self, request: Mapping[str, Any]) -> str:
        speed = request.get("speed")
        if not isinstance(speed, int | float) or isinstance(speed, bool) or not 0.1 <= speed <= FASTEST:
            raise UsageError(f"speed: must be a number from 0.1 to {FASTEST:,.0f} PDE steps per second")
        self._speed = float(speed)
        return ""

    def _fault(self, request: Mapping[str, Any]) -> str:
        text, recovers = request.get("fault"), request.get("recover", False)
        if not isinstance(text, str) or len(text) > LONGEST_FAULT or not isinstance(recovers, bool):
            raise UsageError(f"fault: must be a text of at most {LONGEST_FAULT} characters, and recover true or false")
        return f"injected {self._session.inject(text.strip(), recovers=recovers)}"

    def _show(self) -> None:
        self.scene = self._observer.scene()
        self._revision += 1

    def _play(self) -> None:
        """Run in slices of about `SLICE_SECONDS`; between them, others have their turn."""
        due, some, wanted = 0.0, 1.0, SLICE_SECONDS
        with self._turn:
            while not self._closed:
                if not self._runs:
                    self._turn.wait()
                    due, some, wanted = 0.0, 1.0, SLICE_SECONDS
                    continue
                begun, before = time.perf_counter(), self._session.seconds
                if begun < due:
                    self._turn.wait(min(due - begun, 1.0))
                    continue
                steps = max(1, int(min(some, self._speed * wanted)))
                self._session.advance(steps)
                self._runs = not self._session.has_ended
                self._show()
                ended, stepping = time.perf_counter(), self._session.seconds - before
                # Showing a large mesh takes longer than a step, so slices grow until it is the smaller part.
                wanted = min(max(SLICE_SECONDS, 2 * (ended - begun - stepping)), LONGEST_SLICE_SECONDS)
                some = min(2 * some, steps * wanted / max(stepping, 1e-6))
                due = max(begun + steps / self._speed, ended + _BREATH)

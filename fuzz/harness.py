"""Drives parsers with mutated files in processes of their own, in parts that can be resumed."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import tempfile
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz.guard import Guard, Outcome
from fuzz.mutations import mutated_bytes
from fuzz.parsers import Parser
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.core.output import write_whole

REPORT_SECONDS = 1.0


@dataclass
class Tally:
    """What became of the inputs of one parser so far.

    Attributes
    ----------
    inputs, accepted, refused, offending : int
        How many inputs there were, and what became of them.
    seconds, growth : float, int
        The most that one input took.
    offences : dict of str to str
        What was offending, by the number of the input. They are judged again when a run is gone on with.
    """

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    offending: int = 0
    seconds: float = 0.0
    growth: int = 0
    offences: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, outcome: Outcome) -> None:
        """Count one input."""
        self.inputs = max(self.inputs, number + 1)
        setattr(self, outcome.verdict, getattr(self, outcome.verdict) + 1)
        self.seconds = max(self.seconds, outcome.seconds)
        self.growth = max(self.growth, outcome.growth)
        if outcome.verdict == "offending":
            self.offences[str(number)] = outcome.text

    def forget_offences(self) -> list[int]:
        """Take back what was offending, to judge it again."""
        again = sorted(map(int, self.offences))
        self.offending -= len(again)
        self.offences = {}
        return again


def input_of(parser: Parser, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """One input: the same for the same parser, seeds, seed and number.

    Parameters
    ----------
    seed, number : int
        Of the run, and of the input in it.

    Returns
    -------
    bytes
        The same for the same arguments.
    """
    chance = random.Random(f"{seed} {parser.name} {number}")
    content = chance.choice(seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of names that are there twice
        if chance.random() < 0.1:
            return mutated_bytes(chance, content, seeds)
        return parser.mutate(chance, content, seeds)


def fuzz(
    parsers: Iterable[Parser], inputs: int, seed: int, state: Path | None = None, processes: int = 1
) -> dict[str, Tally]:
    """Drive every parser with its inputs.

    Parameters
    ----------
    inputs : int
        For a parser of weight 1.
    seed : int
        Of all mutations.
    state : Path, optional
        Where the tallies are kept, to go on later.
    processes : int
        Parsers at a time.

    Returns
    -------
    dict of str to Tally
        By the name of the parser.
    """
    tallies = _kept(state, seed)
    waiting = list(parsers)
    running: list[_Running] = []
    while waiting or running:
        while waiting and len(running) < processes:
            parser = waiting.pop(0)
            tally = tallies.setdefault(parser.name, Tally())
            if tally.inputs < parser.share(inputs) or tally.offences:
                running.append(_Running(parser, seed, parser.share(inputs), tally))
        for worker in list(running):
            if not worker.advance():
                running.remove(worker)
            _keep(state, seed, tallies)
    return tallies


class _Running:
    """The process that drives one parser."""

    def __init__(self, parser: Parser, seed: int, stop: int, tally: Tally) -> None:
        self._parser, self._seed, self._stop, self._tally = parser, seed, stop, tally
        self._start(tally.forget_offences())

    def _start(self, again: Sequence[int] = ()) -> None:
        context = multiprocessing.get_context("fork")
        self._current = context.Value("q", self._tally.inputs)
        self._receiver, sender = context.Pipe(duplex=False)
        numbers = (*again, *range(self._tally.inputs, self._stop))
        arguments = (self._parser, self._seed, numbers, sender, self._current)
        self._process = context.Process(target=_drive, args=arguments, daemon=True)
        self._process.start()
        sender.close()

    def advance(self) -> bool:
        """Take what the process has found; False once it is done."""
        try:
            until = time.monotonic() + REPORT_SECONDS
            while self._receiver.poll(max(0.0, until - time.monotonic())):
                self._tally.add(*self._receiver.recv())
            return True
        except EOFError:
            self._process.join()
        if self._process.exitcode == 0:
            return False
        number = int(self._current.value)
        if number < 0:
            raise SystemExit(f"{self._parser.name}: a seed is not accepted, see above")
        self._tally.add(number, Outcome("offending", f"ended the process ({self._process.exitcode})", 0.0, 0))
        if self._tally.inputs < self._stop:
            self._start()
            return True
        return False


def _drive(parser: Parser, seed: int, numbers: Sequence[int], sender: Connection, current: Any) -> None:
    """The process of a parser: some of its inputs."""
    with tempfile.TemporaryDirectory(prefix="pisnn-fuzzing-") as name:
        os.chdir(name)
        folder = Path(name)
        current.value = -1
        seeds = parser.seeds(folder)
        path = folder / parser.file_name
        for content in seeds:
            # What is loaded or compiled at first use must not count as an offence, and a seed must be fit.
            path.write_bytes(content)
            parser.parse(path)
        path.write_bytes(seeds[0][: len(seeds[0]) // 2])
        with contextlib.suppress(PisnnError):  # a refusal loads what prints it
            parser.parse(path)
        guard = Guard(folder)
        for number in numbers:
            current.value = number
            path.write_bytes(input_of(parser, seeds, seed, number))
            sender.send((number, guard.judge(parser.parse, path)))
        sender.close()


def _kept(state: Path | None, seed: int) -> dict[str, Tally]:
    if state is None or not state.exists():
        return {}
    content = json.loads(state.read_text())
    return {name: Tally(**tally) for name, tally in content["tallies"].items()} if content["seed"] == seed else {}


def _keep(state: Path | None, seed: int, tallies: dict[str, Tally]) -> None:
    if state is not None:
        plain = {name: asdict(tally) for name, tally in tallies.items()}
        write_whole(state, json.dumps({"seed": seed, "tallies": plain}, indent=1).encode())

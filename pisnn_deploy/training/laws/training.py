"""From the recipe of a law to trained fluxes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pisnn_deploy.core.errors import CheckError
from pisnn_deploy.laws.flux_network import TrainedLaw
from pisnn_deploy.laws.spec import LawSpec
from pisnn_deploy.laws.start import initial, stacked
from pisnn_deploy.laws.training_options import LawTraining
from pisnn_deploy.training.laws.assessment import HELD_OUT_STARTS, HeldOut, LawAssessment, assess
from pisnn_deploy.training.laws.courses import HELD_OUT_STREAM, TRAINING_STREAM, Course, course
from pisnn_deploy.training.laws.setting import Setting, setting_of
from pisnn_deploy.training.laws.stages import stages
from pisnn_deploy.training.laws.state_file import read_state, write_state
from pisnn_deploy.training.laws.trainer import Progress, Trainer

OnStep = Callable[[int, str], None]
"""Called with the number of steps done, and the errors so far as text."""


@dataclass(frozen=True)
class TrainedFlux:
    """Result of the training of a law.

    Attributes
    ----------
    law : TrainedLaw
        Content of a checkpoint.
    summary : dict
        Plain data: seed, steps, errors, and the assessment.
    """

    law: TrainedLaw
    summary: dict[str, Any]
    assessment: LawAssessment

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Names and texts for a table."""
        summary = self.summary
        return [
            ("training", f"{summary['epochs']} steps, seed {summary['seed']}, {summary['hidden']} hidden units"),
            ("training error", f"{summary['error_first']:.3g} first, {summary['error_last']:.3g} last"),
            ("before rounding", f"{summary['error_before_rounding']:.3g}"),
            *self.assessment.rows,
            ("time step", f"{self.law.fluxes.time_step:.6g}"),
        ]


def prepared(spec: LawSpec, seed: int | None = None) -> LawTrainingJob:
    """Prepare the training of a law.

    Parameters
    ----------
    spec : LawSpec
        With any method; the trained law has ``trained``.
    seed : int, optional
        Random seed (overrides the recipe).

    Raises
    ------
    UsageError
        The law has something that a trained flux cannot be.
    """
    training = spec.training or LawTraining()
    changes = {
        "method": "trained",
        "training": training if seed is None else training.model_copy(update={"seed": seed}),
    }
    # A copy keeps what the recipe was understood to mean.
    trained = spec.model_copy(update=changes)
    return LawTrainingJob(trained, setting_of(trained, stacked(spec, initial(spec, spec.mesh))))


@dataclass(frozen=True)
class LawTrainingJob:
    """A training of a law that has not begun.

    Attributes
    ----------
    spec : LawSpec
        Its method is ``trained``.
    """

    spec: LawSpec
    setting: Setting

    @property
    def _starts(self) -> int:
        assert self.setting.options.starts is not None
        return self.setting.options.starts

    @property
    def total(self) -> int:
        """Solutions of starts, and steps of the optimiser."""
        return self._starts + HELD_OUT_STARTS + sum(stage.steps for stage in stages(self.setting))

    def run(self, *, resume: bool = False, state_path: Path, on_step: OnStep | None = None) -> TrainedFlux:
        """Train; the same recipe gives the same weights, also after an interruption.

        Parameters
        ----------
        resume : bool
            Whether to continue from `state_path` if it exists.
        state_path : Path
            File for the state during training; removed at the end.
        on_step : callable, optional
            Called after each step.

        Raises
        ------
        FileError
            The state file cannot be used.
        CheckError
            Every rollout blows up, or random starts leave the operating range.
        """
        report = on_step or (lambda done, note: None)
        courses = [self._solved(TRAINING_STREAM, number, number, report) for number in range(self._starts)]
        held_out_courses = [
            self._solved(HELD_OUT_STREAM, number, self._starts + number, report) for number in range(HELD_OUT_STARTS)
        ]
        trainer = Trainer(self.setting, courses)
        held_out = HeldOut(self.setting, trainer.scheme, held_out_courses)
        solved = len(courses) + len(held_out_courses)
        mark = hashlib.sha256(self.spec.model_dump_json().encode()).hexdigest()

        def keep(progress: Progress, done: int) -> None:
            write_state(state_path, progress, mark)
            error = held_out.error(progress.parameters)
            report(solved + done, f"loss {progress.loss:.3g}, held-out error {error:.2e}")

        first = trainer.start()
        begin = read_state(state_path, mark, first, len(trainer.stages)) if resume and state_path.exists() else first
        try:
            end = trainer.run(begin, keep)
        except np.linalg.LinAlgError as error:
            state_path.unlink(missing_ok=True)
            raise CheckError(f"training {self.spec.name}: a step of the optimiser has no solution ({error})") from error
        except CheckError:
            state_path.unlink(missing_ok=True)
            raise
        state_path.unlink(missing_ok=True)
        assessment = assess(self.setting, trainer.scheme, held_out, first.parameters, end.parameters, end.losses)
        rounding = next(number for number, stage in enumerate(trainer.stages) if stage.rounding is not None)
        summary = {
            "seed": self.setting.options.seed,
            "epochs": trainer.total,
            "hidden": self.setting.hidden,
            "error_first": float(end.losses[0]),
            "error_before_rounding": float(end.losses[rounding]),
            "error_last": float(end.losses[-1]),
            **assessment.document,
        }
        return TrainedFlux(TrainedLaw(self.spec, trainer.fluxes(end)), summary, assessment)

    def _solved(self, stream: int, number: int, done: int, report: OnStep) -> Course:
        report(done, "solving random starts")
        return course(self.setting, stream, number)

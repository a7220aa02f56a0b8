"""Train a model from a recipe to a checkpoint."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.limits import is_lack_of_memory, require_memory
from pisnn_deploy.core.optional import LAVA_DL, require
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.core.reading import SAFETENSORS
from pisnn_deploy.laws.spec import LawSpec, is_law, read_law
from pisnn_deploy.project import zoo
from pisnn_deploy.project.listener import UNHEARD, Listener, Progress
from pisnn_deploy.project.model_file import is_file_name
from pisnn_deploy.project.outputs import check_outputs

if TYPE_CHECKING:
    from pisnn_deploy.training.laws.training import TrainedFlux
    from pisnn_deploy.training.trainer import Trained


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes
    ----------
    name : str
        Name of the model.
    path : Path
        Path of the checkpoint, which is not written if the training failed.
    """

    name: str
    path: Path
    trained: Trained | TrainedFlux

    @property
    def failures(self) -> tuple[str, ...]:
        """Reasons why the model is not accepted, a sentence each."""
        return tuple(self.trained.assessment.failures)

    def require_accepted(self) -> None:
        """Refuse a training that failed.

        Raises
        ------
        CheckError
            The training failed.
        """
        if self.failures:
            raise CheckError(f"training {self.name}: {'; '.join(self.failures)}; {self.path} was not written")


def train_to_file(
    recipe: str,
    output: Path | None = None,
    *,
    seed: int | None = None,
    resume: bool = False,
    listener: Listener = UNHEARD,
) -> Training:
    """Train a model and write its checkpoint if it is accepted.

    Parameters
    ----------
    recipe : str
        A YAML file, or the name of a model of the zoo.
    output : Path, optional
        Path of the checkpoint (default: next to the recipe).
    seed : int, optional
        Random seed (overrides the recipe).
    resume : bool
        Continue an interrupted training.

    Raises
    ------
    UsageError
        The recipe cannot be used, or memory ran out.
    """
    if seed is not None and not 0 <= seed < 1 << 63:
        raise UsageError(f"`seed` {seed}: expected 0 to {(1 << 63) - 1}")
    require_memory("training")
    named = Path(recipe)
    path = output or (named.with_suffix(SAFETENSORS) if is_file_name(recipe) else Path(f"{recipe}{SAFETENSORS}"))
    check_outputs([path], [recipe])
    state = _State(path.with_name(f"{path.name}.state"), resume, listener, _command(recipe, output, seed))
    with nullcontext(named) if is_file_name(recipe) else zoo.recipe_path(recipe) as recipe_file:
        if is_law(read_mapping(recipe_file)):
            return _train_law(read_law(recipe_file), path, seed, state)
        return _train_model(recipe_file, path, seed, state)


def _command(recipe: str, output: Path | None, seed: int | None) -> str:
    """Command that goes on with a training."""
    words = ["pisnn-deploy", "train", recipe]
    words += [] if output is None else ["-o", str(output)]
    words += [] if seed is None else ["--seed", str(seed)]
    return shlex.join([*words, "--resume"])


@dataclass(frozen=True)
class _State:
    """Where an interrupted training is kept, who hears of it, and the command that goes on."""

    path: Path
    resume: bool
    listener: Listener
    command: str

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Progress]:
        """Show progress; says how to go on if it is interrupted, and what saves memory if that runs out."""
        if self.resume and not self.path.exists():
            self.listener.say(f"warning: `resume`: there is no {self.path}; training starts from scratch")
        try:
            with _memory(), self.listener.progress(f"training {name}", total) as report:
                yield report
        except KeyboardInterrupt:
            if self.path.exists():
                self.listener.say(f"the state of the training is in {self.path}; go on with: {self.command}")
            raise


def _train_model(recipe: Path, path: Path, seed: int | None, state: _State) -> Training:
    require("train", LAVA_DL, "torch")
    from pisnn_deploy.training.checkpoint import write_checkpoint
    from pisnn_deploy.training.recipe import read_recipe
    from pisnn_deploy.training.trainer import epochs, train

    read = read_recipe(recipe)
    with state.progress(read.model.name, epochs(read)) as report:

        def on_epoch(done: int, total: int, loss: float, held_out: float | None) -> None:
            report(done, f"loss {loss:.3g}" + ("" if held_out is None else f", held-out error {held_out:.2e}"))

        trained = train(read, seed=seed, resume=state.resume, state_path=state.path, on_epoch=on_epoch)
    training = Training(read.model.name, path, trained)
    if not training.failures:
        write_checkpoint(path, trained.model, trained.summary)
    return training


def _train_law(spec: LawSpec, path: Path, seed: int | None, state: _State) -> Training:
    from pisnn_deploy.training.checkpoint import write_law_checkpoint
    from pisnn_deploy.training.laws.training import prepared

    job = prepared(spec, seed)
    with state.progress(spec.name, job.total) as report:
        trained = job.run(resume=state.resume, state_path=state.path, on_step=report)
    training = Training(spec.name, path, trained)
    if not training.failures:
        write_law_checkpoint(path, trained.law, trained.summary)
    return training


@contextmanager
def _memory() -> Iterator[None]:
    """Turn a lack of memory into an error that names what in a recipe saves it."""
    try:
        yield
    except (
        MemoryError,
        ImportError,
        OSError,
        RuntimeError,
    ) as error:  # what numpy, the loader, the system, torch raise
        if not is_lack_of_memory(error):
            raise
        raise UsageError(
            "memory ran out; choose fewer cells, a smaller batch or shorter horizons in the recipe, or allow the "
            "process more"
        ) from error

"""Training: multi-step rollouts against exact cell averages, over a growing horizon."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pisnn_deploy.errors import CheckError, FileError, UsageError
from pisnn_deploy.graph.artifact import write_whole
from pisnn_deploy.mesh import PERIODIC, structured_mesh
from pisnn_deploy.model import Model
from pisnn_deploy.training.checkpoint import load_tensors
from pisnn_deploy.training.lava_dl import slayer
from pisnn_deploy.training.pisnn import PISNN
from pisnn_deploy.training.recipe import Recipe

OnEpoch = Callable[[int, int, float], None]
"""Called with the epochs done, all epochs, and the loss of the last one."""
_SAVE_EVERY = 25


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Attributes
    ----------
    model : Model
    summary : dict
        Plain data: seed, epochs, first and last loss, diffusion number of the integer weights.
    """

    model: Model
    summary: dict[str, Any]


class RolloutDefect(torch.nn.Module):
    """How far a PISNN's rollout is from the heat equation.

    Parameters
    ----------
    net : PISNN
    recipe : Recipe
    """

    def __init__(self, net: PISNN, recipe: Recipe) -> None:
        super().__init__()
        self.net = net
        self.steps = 1
        self._quantum = 2.0**-recipe.training.quantum_exponent
        self._diffusivity = recipe.model.diffusivity
        self._mesh = structured_mesh((recipe.training.cells,), recipe.model.lengths, (PERIODIC,))
        waves = 2 * np.pi / recipe.model.lengths[0] * np.arange(1, recipe.training.modes + 1)
        edges = np.arange(recipe.training.cells + 1) * self._mesh.spacing[0]
        scale = waves[:, None] * self._mesh.spacing[0]
        cosines = np.diff(np.sin(waves[:, None] * edges), axis=1) / scale
        sines = -np.diff(np.cos(waves[:, None] * edges), axis=1) / scale
        self.register_buffer("_basis", torch.from_numpy(np.concatenate([cosines, sines])))
        self.register_buffer("_rates", torch.from_numpy(np.tile(waves**2, 2) * recipe.model.diffusivity))

    def forward(self, modes: torch.Tensor) -> torch.Tensor:
        """Defect of each field at each PDE step, relative to the size of the initial variation.

        The reference is taken at the physical time that the network's own weights imply, so that rounding a weight
        moves the clock instead of counting as an error.

        Parameters
        ----------
        modes : float64 tensor [batch, 1 + 2 * modes]
            Mean, cosine and sine amplitudes.

        Returns
        -------
        float64 tensor [batch, steps, cells]
        """
        mean, amplitudes = modes[:, :1], modes[:, 1:]
        fields = self.net.rollout(mean + amplitudes @ self._basis, self._mesh, self.steps, self._quantum)
        time_step = self.net.network.diffusion_number() * self._mesh.spacing[0] ** 2 / self._diffusivity
        times = torch.arange(1, self.steps + 1, dtype=torch.float64) * time_step
        damped = amplitudes[:, None, :] * torch.exp(-self._rates * times[:, None])
        exact = mean[:, None] + damped @ self._basis
        size = amplitudes.square().sum(dim=1).sqrt()[:, None, None]
        defect: torch.Tensor = (fields[1:].transpose(0, 1) - exact) / size
        return defect


def train(
    recipe: Recipe,
    *,
    seed: int | None = None,
    resume: bool = False,
    state_path: Path,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train a model; the same recipe and seed give the same weights, also after an interruption.

    Parameters
    ----------
    recipe : Recipe
    seed : int, optional
        Instead of the recipe's.
    resume : bool
        Go on from `state_path` if it exists.
    state_path : Path
        Where the state is kept while training; removed at the end.
    on_epoch : callable, optional

    Returns
    -------
    Trained

    Raises
    ------
    FileError
        The state file cannot be used.
    UsageError
        The trainer does not know the recipe's equation on its domain.
    CheckError
        The loss became infinite or NaN.
    """
    options = recipe.training
    if len(recipe.model.lengths) != 1:
        raise UsageError(f"recipe {recipe.model.name}: only one-dimensional models can be trained")
    seed = options.seed if seed is None else seed
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        return _train(recipe, seed, resume, state_path, on_epoch)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def _train(recipe: Recipe, seed: int, resume: bool, state_path: Path, on_epoch: OnEpoch | None) -> Trained:
    options = recipe.training
    net = _initial_network(recipe, seed)
    defect = RolloutDefect(net, recipe)
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs, options.learning_rate / 100)
    stats = slayer.utils.LearningStats()
    assistant = slayer.utils.Assistant(defect, torch.nn.functional.mse_loss, optimiser, stats)
    mark = hashlib.sha256(f"{recipe.model_dump_json()} {seed}".encode()).hexdigest()
    losses: list[float] = []
    if resume and state_path.exists():
        losses = _restore(state_path, mark, net, optimiser, schedule)
    for epoch in range(len(losses), options.epochs):
        net.neuron.quantised = epoch >= options.quantised_from * options.epochs
        defect.steps = options.horizons[epoch * len(options.horizons) // options.epochs]
        fields = _fields(recipe, seed, epoch)
        assistant.train(fields, torch.zeros(options.batch, defect.steps, options.cells, dtype=torch.float64))
        net.neuron.clamp()
        schedule.step()
        losses.append(stats.training.loss_sum / stats.training.num_samples)
        stats.update()
        if not math.isfinite(losses[-1]):
            raise CheckError(
                f"training {recipe.model.name}: the loss is {losses[-1]} in epoch {epoch + 1}; lower "
                "learning_rate or shorten horizons"
            )
        if (epoch + 1) % _SAVE_EVERY == 0:
            _save(state_path, mark, net, optimiser, schedule, losses)
        if on_epoch is not None:
            on_epoch(epoch + 1, options.epochs, losses[-1])
    state_path.unlink(missing_ok=True)
    net.neuron.quantised = True
    summary = {
        "seed": seed,
        "epochs": options.epochs,
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "diffusion_number": float(net.network.diffusion_number()),
    }
    return Trained(net.to_model(), summary)


def _initial_network(recipe: Recipe, seed: int) -> PISNN:
    net = PISNN(recipe.model, quantised=False, learn_leak=recipe.training.learn_leak)
    random = np.random.default_rng([seed, 0])
    with torch.no_grad():
        for layer, synapse in enumerate(net.network.synapses):
            outputs, inputs = recipe.model.layer_shapes[layer]
            weight = random.normal(0.0, 1 / math.sqrt(inputs), (outputs, inputs))
            if not recipe.model.hidden:
                # Downhill everywhere: a random sign could make the first moment vanish, by which the hook divides.
                weight = np.abs(weight) * np.where(np.arange(inputs) < inputs // 2, 1.0, -1.0)
            synapse.weight.copy_(torch.from_numpy(weight)[:, :, None, None, None])
    return net


def _fields(recipe: Recipe, seed: int, epoch: int) -> torch.Tensor:
    """Random smooth fields: mean 1, all modes equally strong."""
    options = recipe.training
    random = np.random.default_rng([seed, 1, epoch])
    amplitudes = random.normal(0.0, 0.1, (options.batch, 2 * options.modes))
    return torch.from_numpy(np.concatenate([np.ones((options.batch, 1)), amplitudes], axis=1))


def _save(path: Path, mark: str, net: PISNN, optimiser: Any, schedule: Any, losses: list[float]) -> None:
    buffer = io.BytesIO()
    state = {
        "recipe": mark,
        "losses": losses,
        "net": net.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
    }
    torch.save(state, buffer)
    write_whole(path, buffer.getvalue())


def _restore(path: Path, mark: str, net: PISNN, optimiser: Any, schedule: Any) -> list[float]:
    state = load_tensors(path)
    if not isinstance(state, dict) or state.get("recipe") != mark:
        raise FileError(path, "is the state of another recipe or seed", remedy="train without --resume")
    try:
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        return [float(loss) for loss in state["losses"]]
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise FileError(path, "is not a complete training state", remedy="train without --resume") from error

"""Train models on multi-step rollouts against exact cell averages, over growing horizons."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pisnn_deploy.core.arithmetic import MEMORYLESS
from pisnn_deploy.core.errors import CheckError, FileError, UsageError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.mesh.boundary import AXES
from pisnn_deploy.physics.clock import nominal_time_step
from pisnn_deploy.physics.model import Model, ModelSpec
from pisnn_deploy.training.assessment import Assessment, assess, integer_kernels
from pisnn_deploy.training.fields import TrainingFields, on_training_mesh, training_fields
from pisnn_deploy.training.flux_network import Constraints
from pisnn_deploy.training.gauss_newton import GaussNewton, Progress, total_steps
from pisnn_deploy.training.held_out import HeldOutFields, held_out
from pisnn_deploy.training.lava_dl import slayer
from pisnn_deploy.training.objective import Objective, RolloutDefect
from pisnn_deploy.training.pisnn import PISNN
from pisnn_deploy.training.recipe import GaussNewtonOptions, Recipe, TrainingOptions
from pisnn_deploy.training.state import like, tensors
from pisnn_deploy.training.tensor_file import read_tensors

OnEpoch = Callable[[int, int, float, float | None], None]
"""Called with the number of completed epochs, the total number, the last loss, and the relative L2 error on held-out
fields, which is measured now and then: None until then."""
_SAVE_EVERY = 25
_SHOWN_WEIGHTS = 16


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Attributes
    ----------
    summary : dict
        Plain data: seed, epochs, losses, time step of the integer weights, and the assessment.
    assessment : Assessment
        Includes the reasons if the training failed.
    """

    model: Model
    summary: dict[str, Any]
    assessment: Assessment

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Names and texts for a table."""
        summary, judged = self.summary, self.assessment
        rounding = summary.get("loss_before_rounding")
        return [
            ("training", f"{summary['epochs']} epochs, seed {summary['seed']}"),
            ("training loss", f"{summary['loss_first']:.3g} first, {summary['loss_last']:.3g} last"),
            *([] if rounding is None else [("before rounding", f"{rounding:.3g}")]),
            ("held-out loss", f"{judged.loss_before:.3g} before training, {judged.loss_after:.3g} after"),
            ("held-out error", f"{judged.held_out_error:.2e} after {judged.held_out_steps} PDE steps"),
            (judged.scheme, f"{judged.scheme_error:.2e} on the same mesh"),
            ("accepted", f"up to {judged.accept:.2e}"),
            ("time step", f"{summary['time_step']:.6g}"),
            *((each.name, f"{each.learned:.6g}, expected {each.wanted:.6g}") for each in judged.coefficients),
            *_kernel_rows(self.model),
            ("amplification factor", f"{judged.amplification_factor:.9g} at most"),
            *(("failed", sentence) for sentence in judged.failures),
        ]


def _kernel_rows(model: Model) -> list[tuple[str, str]]:
    """Nearest integers to the weights of a linear model, and their unit; none with hidden layers or many weights."""
    spec = model.spec
    kernels = integer_kernels(model, 0.0)
    if len(model.weights) > 1 or kernels[0].size > _SHOWN_WEIGHTS:
        return []
    unit = spec.weight_unit * 2.0 ** -spec.weight_exponents[0]
    names = [f" along {axis}" for axis in AXES] if spec.rates else [""]
    rows = []
    for name, kernel in zip(names, kernels, strict=False):
        integers = " ".join(f"{weight:g}" for weight in np.rint(kernel / unit))
        rows.append((f"weights{name}", f"nearest integers {integers}, in units of {unit:g}"))
    return rows


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
    seed : int, optional
        Random seed (overrides the recipe).
    resume : bool
        Whether to continue from `state_path` if it exists.
    state_path : Path
        File for the state during training; removed at the end.
    on_epoch : callable, optional
        Called after each optimiser step.

    Raises
    ------
    FileError
        The state file cannot be used.
    CheckError
        The loss became infinite or NaN; the state file is removed.
    """
    options = recipe.training
    seed = options.seed if seed is None else seed
    state = _State(state_path, hashlib.sha256(f"{recipe.model_dump_json()} {seed}".encode()).hexdigest(), resume)
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        if isinstance(options, GaussNewtonOptions):
            return _train_with_gauss_newton(recipe.model, options, seed, state, on_epoch)
        return _train_with_adam(recipe.model, options, seed, state, on_epoch)
    except CheckError:
        state.remove()
        raise
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def epochs(recipe: Recipe) -> int:
    """Number of optimiser steps of a whole training."""
    options = recipe.training
    return total_steps(options) if isinstance(options, GaussNewtonOptions) else options.epochs


class _State:
    """State file of a running training.

    Parameters
    ----------
    mark : str
        Hash of the recipe and the seed.
    resume : bool
        Whether to read an existing file.
    """

    def __init__(self, path: Path, mark: str, resume: bool) -> None:
        self._path = path
        self._mark = mark
        self._resume = resume

    def save(self, content: Mapping[str, Any]) -> None:
        """Save plain data and tensors."""
        buffer = io.BytesIO()
        torch.save({"recipe": self._mark, **content}, buffer)
        write_whole(self._path, buffer.getvalue())

    def restore(self, apply: Callable[[dict[str, Any]], Any]) -> Any:
        """Return `apply` of the saved content; None without a file or without `resume`."""
        if not (self._resume and self._path.exists()):
            return None
        content = read_tensors(self._path)
        if not isinstance(content, dict) or content.get("recipe") != self._mark:
            raise FileError(self._path, "belongs to another recipe or seed", remedy="train without `resume`")
        try:
            return apply(tensors(content))
        except (KeyError, RuntimeError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FileError(self._path, "is not a complete training state", remedy="train without `resume`") from error

    def remove(self) -> None:
        """Delete the file."""
        self._path.unlink(missing_ok=True)


def _train_with_gauss_newton(
    spec: ModelSpec, options: GaussNewtonOptions, seed: int, state: _State, on_epoch: OnEpoch | None
) -> Trained:
    training = GaussNewton(spec, options, seed)

    def restored(content: dict[str, Any]) -> Progress:
        start = training.start()
        parameters = like(torch.from_numpy(start.parameters), content["parameters"]).numpy()
        rounded = content["rounded"].numpy()
        if rounded.dtype != np.int64 or not np.isin(rounded, np.arange(parameters.size)).all():
            raise ValueError("rounded parameters that do not exist")
        stage, iteration = (like(0, content[name]) for name in ("stage", "iteration"))
        damping, before = float(content["damping"]), float(content["before_rounding"])
        if min(stage, iteration) < 0 or not 0 < damping < math.inf:
            raise ValueError("an invalid stage, iteration or damping")
        return Progress(stage, iteration, parameters, damping, rounded, tuple(_losses(content)), before)

    def keep(progress: Progress, done: int) -> None:
        if not math.isfinite(progress.losses[-1]):
            raise _not_finite(spec, progress.losses[-1], done, "shorten the horizons or lower model.diffusion_number")
        arrays = {name: torch.from_numpy(vars(progress)[name]) for name in ("parameters", "rounded")}
        state.save({**vars(progress), **arrays, "losses": list(progress.losses)})
        if on_epoch is not None:
            on_epoch(done, total_steps(options), progress.losses[-1], None)

    try:
        end = training.run(state.restore(restored) or training.start(), keep)
    except np.linalg.LinAlgError as error:
        raise CheckError(f"training {spec.name}: a step of the optimiser has no solution ({error})") from error
    state.remove()
    model = training.model(end)
    step = nominal_time_step(spec, training.spacing)
    assessment = assess(model, (training.spacing,), step, training.held_out(model, seed), options.accept)
    summary = {
        "seed": seed,
        "epochs": total_steps(options),
        "loss_first": end.losses[0],
        "loss_before_rounding": None if math.isnan(end.before_rounding) else end.before_rounding,
        "loss_last": end.losses[-1],
        "time_step": step,
        **assessment.document,
    }
    return Trained(model, summary, assessment)


def _not_finite(spec: ModelSpec, loss: float, epoch: int, remedy: str) -> CheckError:
    return CheckError(f"training {spec.name}: the loss is {loss} in epoch {epoch}; {remedy}")


def _losses(content: Mapping[str, Any]) -> list[float]:
    losses = [float(loss) for loss in content["losses"]]
    if not all(map(math.isfinite, losses)):
        raise ValueError("a loss that is not finite")
    return losses


def _adam_states(groups: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, torch.Tensor]]:
    """Structure of Adam's state for each parameter, with arbitrary values."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    return {
        number: {"step": torch.tensor(0.0), "exp_avg": parameter.detach(), "exp_avg_sq": parameter.detach()}
        for number, parameter in enumerate(parameters)
    }


def _train_with_adam(
    spec: ModelSpec, options: TrainingOptions, seed: int, state: _State, on_epoch: OnEpoch | None
) -> Trained:
    net = _initial_network(spec, options, seed)
    fields = training_fields(spec, options)
    defect = RolloutDefect(net, fields, options)
    leak = net.neuron.leak
    # The synapses' hooks contain the neuron, so the network's parameters include its leak.
    weights = [p for p in net.network.parameters() if p.requires_grad and p is not leak]
    groups: list[dict[str, Any]] = [{"params": weights}]
    if options.learn_leak:
        groups.append({"params": [leak], "lr": options.learning_rate * MEMORYLESS})
    optimiser = torch.optim.Adam(groups, lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.epochs, options.learning_rate / 100)
    stats = slayer.utils.LearningStats()
    assistant = slayer.utils.Assistant(defect, Objective(net, options), optimiser, stats)
    parts: dict[str, Any] = {"net": net, "optimiser": optimiser, "schedule": schedule}

    def restored(content: dict[str, Any]) -> list[float]:
        losses = _losses(content)
        expected = {name: part.state_dict() for name, part in parts.items()}
        expected["optimiser"]["state"] = _adam_states(groups)
        for name, part in parts.items():
            part.load_state_dict(like(expected[name], content[name]))
        if not 0 < len(losses) <= options.epochs or schedule.last_epoch != len(losses):
            raise ValueError("losses of another number of epochs")
        return losses

    losses: list[float] = state.restore(restored) or []
    seen: float | None = None
    for epoch in range(len(losses), options.epochs):
        net.neuron.quantised = epoch >= options.quantised_from * options.epochs
        defect.steps = options.horizons[epoch * len(options.horizons) // options.epochs]
        random = np.random.default_rng([seed, 1, epoch])
        drawn = random.normal(size=(options.batch, fields.numbers + fields.mesh.cells))
        assistant.train(torch.from_numpy(drawn), torch.zeros(options.batch))
        net.neuron.clamp()
        schedule.step()
        losses.append(stats.training.loss_sum / stats.training.num_samples)
        stats.update()
        if not math.isfinite(losses[-1]):
            raise _not_finite(spec, losses[-1], epoch + 1, "lower learning_rate or shorten the horizons")
        if (epoch + 1) % _SAVE_EVERY == 0:
            states = {name: {**part.state_dict()} for name, part in parts.items()}
            state.save({**states, "losses": losses})
            if on_epoch is not None:
                seen = HeldOutFields.drawn(net, fields, options, seed).error(net)
        if on_epoch is not None:
            on_epoch(epoch + 1, options.epochs, losses[-1], seen)
    state.remove()
    net.neuron.quantised = True
    model, step = net.to_model(), _final_time_step(net, fields)
    judged = held_out(_initial_network(spec, options, seed), net, fields, options, seed)
    assessment = assess(model, fields.mesh.spacing, step, judged, options.accept)
    summary = {
        "seed": seed,
        "epochs": options.epochs,
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "time_step": step,
        **assessment.document,
    }
    return Trained(model, summary, assessment)


def _final_time_step(net: PISNN, fields: TrainingFields) -> float:
    try:
        return float(net.network.time_step(fields.mesh.spacing))
    except (ArithmeticError, ValueError) as error:
        raise UsageError(
            f"training {net.spec.name}: the final weights do not imply a valid time step; lower learning_rate or "
            "train without `resume`"
        ) from error


def _initial_network(spec: ModelSpec, options: TrainingOptions, seed: int) -> PISNN:
    constraints = Constraints(options.symmetric, options.consistent)
    spec = on_training_mesh(spec, options)
    net = PISNN(spec, quantised=False, learn_leak=options.learn_leak, constraints=constraints)
    random = np.random.default_rng([seed, 0])
    with torch.no_grad():
        for layer, synapse in enumerate(net.network.synapses):
            outputs, inputs = spec.layer_shapes[layer]
            weight = random.normal(0.0, 1 / math.sqrt(inputs), (outputs, inputs))
            if not spec.hidden:
                # All downhill: the hook divides by the first moment, which random signs could make vanish.
                weight = np.abs(weight) * -np.sign(spec.positions[0])
            synapse.weight.copy_(torch.from_numpy(weight)[:, :, None, None, None])
    return net

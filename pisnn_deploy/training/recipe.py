"""Recipes: what to train and how, as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from pisnn_deploy.errors import FileError
from pisnn_deploy.model import FiniteFloat, ModelSpec, PositiveFloat
from pisnn_deploy.plain_yaml import read_mapping


class TrainingOptions(BaseModel):
    """How to train with Adam and straight-through rounding.

    Attributes
    ----------
    method : str
        ``adam``, which need not be said.
    seed : int
    cells : int
        Cells along each axis of the mesh that the network is trained on.
    modes : int
        Waves along each axis of the random fields.
    mean, amplitude : float
        Mean of the fields, and standard deviation of the amplitude of each wave.
    batch : int
        Fields per epoch.
    epochs : int
        Optimiser steps, each on fresh fields.
    horizons : tuple of int
        PDE steps of the rollouts; each is used for an equal share of the epochs, in this order.
    learning_rate : float
        At the start; falls to a hundredth along a cosine.
    quantised_from : float
        Fraction of the epochs after which the forward computes with the hardware's integers.
    quantum_exponent : int
        The cell value of one quantum in training is ``2^-quantum_exponent``.
    learn_leak : bool
    symmetric : bool
        Build the symmetry of the equation into the kernel of a linear network.
    consistent : bool
        Build the moments of the equation into the kernel of a linear network.
    noise : float
        Standard deviation of what is added to the start of each rollout, in cell values.
    stability : float
        Weight of a penalty on amplification factors outside the unit disc (linear networks).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["adam"] = "adam"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    cells: Annotated[int, Field(ge=2, le=4096)]
    modes: Annotated[int, Field(ge=1, le=2048)]
    batch: Annotated[int, Field(ge=1, le=4096)]
    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    horizons: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=64)]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    quantised_from: Annotated[float, Field(ge=0, le=1)]
    quantum_exponent: Annotated[int, Field(ge=0, le=30)] = 20
    learn_leak: bool = False
    mean: FiniteFloat = 1.0
    amplitude: PositiveFloat = 0.1
    symmetric: bool = True
    consistent: bool = True
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    stability: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class GaussNewtonOptions(BaseModel):
    """How to train a hidden layer with Gauss-Newton steps and compensated rounding (`training.gauss_newton`).

    Attributes
    ----------
    method : str
        ``gauss-newton``.
    seed : int
    linear_units : int
        Hidden units that start always active; the others start as kinks of the flux.
    lower, upper : float
        Range of the values of the training fields.
    fields, quiet_fields : int
        Random fields that fill most of that range, and ever smaller parts of it.
    modes : int
        Most waves of a field.
    horizons : tuple of int
        PDE steps of the rollouts, stage after stage.
    iterations : tuple of int
        Steps of the optimiser in each stage.
    rounding : str
        ``compensated``, or ``nearest`` for comparison: the compiler then rounds all weights at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["gauss-newton"]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    linear_units: Annotated[int, Field(ge=1, le=64)] = 4
    lower: FiniteFloat
    upper: FiniteFloat
    fields: Annotated[int, Field(ge=1, le=1024)]
    quiet_fields: Annotated[int, Field(ge=0, le=1024)] = 4
    modes: Annotated[int, Field(ge=1, le=64)]
    horizons: Annotated[tuple[Annotated[int, Field(ge=1, le=16384)], ...], Field(min_length=1, max_length=16)]
    iterations: Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1, max_length=16)]
    rounding: Literal["compensated", "nearest"] = "compensated"

    @model_validator(mode="after")
    def _consistent(self) -> GaussNewtonOptions:
        if len(self.horizons) != len(self.iterations):
            raise ValueError(f"horizons has {len(self.horizons)} entries, iterations {len(self.iterations)}")
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} must be below upper {self.upper}")
        return self


def _method(value: object) -> str:
    if isinstance(value, dict):
        return "gauss-newton" if value.get("method") == "gauss-newton" else "adam"
    return str(getattr(value, "method", "adam"))


_TAGS = ("adam", "gauss-newton")


class Recipe(BaseModel):
    """A model and how to train it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelSpec
    training: Annotated[
        Annotated[TrainingOptions, Tag("adam")] | Annotated[GaussNewtonOptions, Tag("gauss-newton")],
        Discriminator(_method),
    ]

    @model_validator(mode="after")
    def _method_suits_the_equation(self) -> Recipe:
        model, training = self.model, self.training
        if (model.equation == "burgers") != (training.method == "gauss-newton"):
            raise ValueError(f"training.method {training.method} does not suit equation {model.equation}")
        if isinstance(training, GaussNewtonOptions):
            if len(model.hidden) != 1 or model.hidden[0] <= training.linear_units:
                raise ValueError(f"model.hidden must be one layer of more than {training.linear_units} units")
        elif model.cell_width is not None and abs(model.lengths[0] / model.cell_width - training.cells) > 1e-6:
            wanted = model.lengths[0] / model.cell_width
            raise ValueError(f"training.cells is {training.cells}, model.cell_width asks for {wanted:g}")
        if isinstance(training, TrainingOptions) and training.learn_leak and model.damping is not None:
            raise ValueError("training.learn_leak is of no use where model.damping sets the leak")
        if model.equation == "laplace" and len(model.lengths) != 2:
            raise ValueError("model.lengths must have two entries for laplace")
        return self


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Recipe

    Raises
    ------
    FileError
        It cannot be read, or a field is not what it must be; the message names the field.
    """
    document = read_mapping(path)
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in _TAGS)
        raise FileError(path, str(first["msg"]), field=field or "recipe") from error

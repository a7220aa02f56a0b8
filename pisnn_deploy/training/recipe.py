"""Recipes: what to train and how, as YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pisnn_deploy.errors import FileError
from pisnn_deploy.model import FiniteFloat, ModelSpec, PositiveFloat
from pisnn_deploy.plain_yaml import read_mapping


class TrainingOptions(BaseModel):
    """How to train.

    Attributes
    ----------
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


class Recipe(BaseModel):
    """A model and how to train it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelSpec
    training: TrainingOptions


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
        field = ".".join(str(part) for part in first["loc"])
        raise FileError(path, str(first["msg"]), field=field or "recipe") from error

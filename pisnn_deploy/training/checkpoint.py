"""Read and write checkpoints (docs/reference/checkpoint.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pisnn_deploy.core.errors import FileError, SeveralErrors
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.laws.flux_network import FluxNetwork, TrainedFluxes, TrainedLaw
from pisnn_deploy.laws.flux_network_flaws import FARTHEST, MOST_POSITIONS, trained_flaws
from pisnn_deploy.laws.spec import MOST_FLAWS, LawSpec, Positive, law_flaws, posedness_flaws
from pisnn_deploy.physics.model import Model, ModelSpec
from pisnn_deploy.training.checkpoint_file import LONGEST_NAME, Floats, is_of_law, read_content, write_content

Coordinate = Annotated[int, Field(ge=-FARTHEST, le=FARTHEST, strict=True)]
Exponent = Annotated[int, Field(ge=-32, le=32, strict=True)]
Scale = Annotated[int, Field(ge=-64, le=64, strict=True)]


class AxisText(BaseModel):
    """Plain data of the network of an axis, as `FluxNetwork` has them."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    offsets: Annotated[
        tuple[Annotated[tuple[Coordinate, ...], Field(min_length=1, max_length=3)], ...],
        Field(min_length=1, max_length=MOST_POSITIONS),
    ]
    weight_exponent: Exponent
    output_exponent: Exponent


class FluxesText(BaseModel):
    """Plain data of trained fluxes, as `TrainedFluxes` has them."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    axes: Annotated[tuple[AxisText, ...], Field(min_length=1, max_length=3)]
    scale_exponents: Annotated[tuple[Scale, ...], Field(min_length=1, max_length=64)]
    time_step: Positive
    spacing: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=3)]


def write_checkpoint(path: Path, model: Model, training: Mapping[str, object]) -> None:
    """Write the checkpoint of a model atomically, as safetensors, or in torch's format if the suffix is ``.pt``.

    Parameters
    ----------
    training : mapping
        Plain data about the training, for information.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    plain = {"spec": model.spec.model_dump(mode="json")}
    write_content(path, plain, {"weights": model.weights, "biases": model.biases}, training)


def write_law_checkpoint(path: Path, law: TrainedLaw, training: Mapping[str, object]) -> None:
    """Write the checkpoint of a trained law atomically, in the formats of `write_checkpoint`.

    Parameters
    ----------
    training : mapping
        Plain data about the training, for information.

    Raises
    ------
    ValueError
        The fluxes do not fit the law, or have weights that are not multiples of their unit; names the first place.
    FileError
        The file cannot be written.
    """
    for place, problem in trained_flaws(law):
        raise ValueError(f"{place}: {problem}")
    fluxes, networks = law.fluxes, law.fluxes.networks
    axes = [
        {
            "offsets": network.offsets.tolist(),
            "weight_exponent": int(network.weight_exponent),
            "output_exponent": int(network.output_exponent),
        }
        for network in networks
    ]
    plain = {
        "spec": law.spec.model_dump(mode="json"),
        "fluxes": {
            "axes": axes,
            "scale_exponents": [int(exponent) for exponent in fluxes.scale_exponents],
            "time_step": float(fluxes.time_step),
            "spacing": [float(width) for width in fluxes.spacing],
        },
    }
    arrays = {
        "weights": [network.weight for network in networks],
        "biases": [network.bias for network in networks],
        "outputs": [network.output for network in networks],
        "constants": [network.constant for network in networks],
    }
    write_content(path, plain, arrays, training)


def read_any_checkpoint(path: Path) -> Model | TrainedLaw:
    """Read the checkpoint of a model or of a trained law from an untrusted file.

    Raises
    ------
    FileError
        The file is not a checkpoint of a supported version, or its content is invalid.
    SeveralErrors
        The same, with an error for each flaw of a law.
    """
    content, arrays = read_content(path)
    return _law(path, content, arrays) if is_of_law(content) else _model(path, content, arrays)


def read_checkpoint(path: Path) -> Model:
    """Read the checkpoint of a model from an untrusted file, in safetensors or in torch's format.

    Raises
    ------
    FileError
        The file is not a checkpoint of a supported version, or its content is invalid.
    """
    content, arrays = read_content(path)
    if is_of_law(content):
        raise FileError(path, "is the checkpoint of a law, not of a model")
    return _model(path, content, arrays)


def read_law_checkpoint(path: Path) -> TrainedLaw:
    """Read the checkpoint of a trained law from an untrusted file, in safetensors or in torch's format.

    Raises
    ------
    FileError, SeveralErrors
        As for `read_any_checkpoint`; or the file is the checkpoint of a model.
    """
    content, arrays = read_content(path)
    if not is_of_law(content):
        raise FileError(path, "is the checkpoint of a model, not of a law")
    return _law(path, content, arrays)


def _model(path: Path, content: Mapping[str, Any], arrays: Mapping[str, tuple[Floats, ...]]) -> Model:
    try:
        spec = ModelSpec.model_validate(content["spec"])
    except ValidationError as error:
        raise _first_error(path, error, "spec", tuple(ModelSpec.model_fields)) from error
    model = Model(spec, arrays["weights"], arrays["biases"])
    for problem in model.problems():
        raise FileError(path, problem)
    return model


def _law(path: Path, content: Mapping[str, Any], arrays: Mapping[str, tuple[Floats, ...]]) -> TrainedLaw:
    flaws = law_flaws(content["spec"])
    if not flaws:
        spec = LawSpec.model_validate(content["spec"])
        flaws = posedness_flaws(spec)
    if flaws:
        raise _all_errors(path, [(f"spec.{place}", problem) for place, problem in flaws])
    try:
        plain = FluxesText.model_validate(content["fluxes"])
    except ValidationError as error:
        raise _first_error(path, error, "fluxes", ()) from error
    for key, parts in arrays.items():
        if len(parts) != len(plain.axes):
            raise FileError(path, f"has {len(parts)} tensors for {len(plain.axes)} networks", field=key)
    law = TrainedLaw(spec, _fluxes(path, plain, arrays))
    flaws = trained_flaws(law)
    if flaws:
        raise _all_errors(path, flaws)
    return law


def _fluxes(path: Path, plain: FluxesText, arrays: Mapping[str, tuple[Floats, ...]]) -> TrainedFluxes:
    networks = []
    for axis, text in enumerate(plain.axes):
        coordinates = {len(offset) for offset in text.offsets}
        if len(coordinates) > 1:
            raise FileError(
                path, "has cells with different numbers of coordinates", field=f"fluxes.axes.{axis}.offsets"
            )
        networks.append(
            FluxNetwork(
                np.array(text.offsets, np.int64),
                arrays["weights"][axis],
                arrays["biases"][axis],
                arrays["outputs"][axis],
                arrays["constants"][axis],
                text.weight_exponent,
                text.output_exponent,
            )
        )
    return TrainedFluxes(tuple(networks), plain.scale_exponents, plain.time_step, plain.spacing)


def _first_error(path: Path, error: ValidationError, section: str, siblings: tuple[str, ...]) -> FileError:
    first = error.errors()[0]
    field = ".".join((section, *(str(part)[:LONGEST_NAME] for part in first["loc"])))
    return FileError(path, problem_text(first, siblings), field=field)


def _all_errors(path: Path, flaws: list[tuple[str, str]]) -> FileError | SeveralErrors:
    errors = [FileError(path, problem, field=place) for place, problem in flaws[:MOST_FLAWS]]
    return errors[0] if len(errors) == 1 else SeveralErrors(errors)

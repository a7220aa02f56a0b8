"""Training recipes in YAML: a model, and how to train it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from pisnn_deploy.core.errors import FileError, SeveralErrors
from pisnn_deploy.core.field_errors import ALL_AXES, EACH_AXIS, axes_form, place_of, problem_text, shown
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.laws.spec import is_law
from pisnn_deploy.physics.model import (
    SPEC_CHECKS,
    FiniteFloat,
    Flaw,
    InconsistentError,
    ModelSpec,
    Number,
    PositiveFloat,
    with_factors,
)
from pisnn_deploy.training.recipe_flaws import UnreadableError, readable_flaws, recipe_flaws

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


Cells = Annotated[int, Field(ge=2, le=4096, strict=True)]
CellsOfAxes = Annotated[
    Annotated[Cells, Tag(ALL_AXES)] | Annotated[tuple[Cells, ...], Tag(EACH_AXIS), Field(min_length=1, max_length=3)],
    Discriminator(axes_form),
]
"""A number of cells for all axes, or one for each."""


class TrainingOptions(BaseModel):
    """Options for training with Adam and straight-through rounding.

    Attributes
    ----------
    method : str
        ``adam`` (default).
    seed : int
        Random seed of the initial weights and of the fields.
    cells : int or tuple of int
        Cells along each axis of the training mesh: a number for square cells, as wide as this many over the first
        length, or one for each axis of the domain, which makes a kernel for each axis.
    modes : int
        Waves along each axis of the random fields.
    mean, amplitude : float
        Mean of the fields, and standard deviation of the amplitude of each wave.
    batch : int
        Fields per epoch.
    epochs : int
        Optimiser steps, each on new fields.
    horizons : tuple of int
        PDE steps of the rollouts; each horizon is used for an equal part of the epochs, in this order.
    learning_rate : float
        Initial learning rate, at most 1; it falls to a hundredth along a cosine.
    quantised_from : float
        Fraction of the epochs after which the forward pass uses the hardware's integers.
    quantum_exponent : int
        The cell value of one quantum in training is ``2^-quantum_exponent``.
    learn_leak : bool
        Whether the decay of the current is learned.
    symmetric : bool
        Whether to build the symmetry of the equation into the kernel of a linear network.
    consistent : bool
        Whether to build the moments of the equation into the kernel of a linear network.
    noise : float
        Standard deviation of the noise that is added to the initial fields, in cell values.
    stability : float
        Weight of the penalty on amplification factors outside the unit disc (linear networks only).
    accept : float or None
        Largest accepted held-out error (default: that of a first-order scheme).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    method: Literal["adam"] = "adam"
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 1
    cells: CellsOfAxes
    modes: Annotated[int, Field(ge=1, le=2048, strict=True)]
    batch: Annotated[int, Field(ge=1, le=4096, strict=True)]
    epochs: Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
    horizons: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4096, strict=True)], ...], Field(min_length=1, max_length=64)
    ]
    learning_rate: Annotated[Number, Field(gt=0, le=1, allow_inf_nan=False)]
    quantised_from: Annotated[Number, Field(ge=0, le=1)]
    quantum_exponent: Annotated[int, Field(ge=0, le=30, strict=True)] = 20
    learn_leak: StrictBool = False
    mean: FiniteFloat = 1.0
    amplitude: PositiveFloat = 0.1
    symmetric: StrictBool = True
    consistent: StrictBool = True
    noise: Annotated[Number, Field(ge=0, allow_inf_nan=False)] = 0.0
    stability: Annotated[Number, Field(ge=0, allow_inf_nan=False)] = 0.0
    accept: PositiveFloat | None = None


class GaussNewtonOptions(BaseModel):
    """Options for training a hidden layer with Gauss-Newton steps and compensated rounding (`training.gauss_newton`).

    Attributes
    ----------
    method : str
        ``gauss-newton``.
    seed : int
        Random seed of the initial network and of the fields.
    linear_units : int
        Hidden units that are always active at first; the others start as kinks of the flux.
    lower, upper : float
        Value range of the training fields.
    fields, quiet_fields : int
        Number of random fields that span most of the range, and of quieter ones.
    modes : int
        Maximum number of waves of a field.
    horizons : tuple of int
        PDE steps of the rollouts in each stage.
    iterations : tuple of int
        Optimiser steps in each stage.
    rounding : str
        ``compensated``, or for comparison ``nearest``, where the compiler rounds all weights at once.
    accept : float or None
        Largest accepted held-out error (default: that of a first-order scheme).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    method: Literal["gauss-newton"]
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 1
    linear_units: Annotated[int, Field(ge=1, le=64, strict=True)] = 4
    lower: FiniteFloat
    upper: FiniteFloat
    fields: Annotated[int, Field(ge=1, le=1024, strict=True)]
    quiet_fields: Annotated[int, Field(ge=0, le=1024, strict=True)] = 4
    modes: Annotated[int, Field(ge=1, le=64, strict=True)]
    horizons: Annotated[
        tuple[Annotated[int, Field(ge=1, le=16384, strict=True)], ...], Field(min_length=1, max_length=16)
    ]
    iterations: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1000, strict=True)], ...], Field(min_length=1, max_length=16)
    ]
    rounding: Literal["compensated", "nearest"] = "compensated"
    accept: PositiveFloat | None = None


def _method(value: object) -> str:
    if isinstance(value, dict):
        return "gauss-newton" if value.get("method") == "gauss-newton" else "adam"
    return str(getattr(value, "method", "adam"))


_TAGS = ("adam", "gauss-newton")
MOST_FLAWS = 64
"""Errors shown for one recipe: a list in the file may have thousands of wrong entries."""


class Recipe(BaseModel):
    """A model and how to train it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    model: ModelSpec
    training: Annotated[
        Annotated[TrainingOptions, Tag("adam")] | Annotated[GaussNewtonOptions, Tag("gauss-newton")],
        Discriminator(_method),
    ]

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        flaws = recipe_flaws(self.model, self.training)
        if flaws:
            raise InconsistentError(flaws)
        return self


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    FileError
        The file cannot be read.
    SeveralErrors
        Fields are invalid or contradict each other; one error per line, `MOST_FLAWS` at most.
    """
    document = read_mapping(path)
    if is_law(document):
        raise FileError(
            path, "is the recipe of a law, which compile reads", remedy="train reads sections model and training"
        )
    flaws = flaws_of(document)
    if flaws:
        errors = [FileError(path, problem, field=field) for field, problem in flaws[:MOST_FLAWS]]
        if len(flaws) > MOST_FLAWS:
            errors.append(FileError(path, f"has {len(flaws) - MOST_FLAWS} more flaws"))
        raise SeveralErrors(errors)
    return Recipe.model_validate(document)


def flaws_of(document: dict[str, Any]) -> list[Flaw]:
    """Find all errors of a recipe, in the order of its parts.

    Parameters
    ----------
    document : dict of str to Any
        Content of the recipe.

    Returns
    -------
    list of (str, str)
        Field, such as ``training.cells``, and what is wrong with it.
    """
    if isinstance(document.get("model"), dict):
        document = {**document, "model": with_factors(document["model"])}
    try:
        Recipe.model_validate(document)
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if not _is_of_several_fields(detail)]
    else:
        return []
    parts: dict[str, type[BaseModel]] = {
        "model": ModelSpec,
        "training": GaussNewtonOptions if _is_gauss_newton(document) else TrainingOptions,
    }
    places = [tuple(part for part in place_of(detail["loc"]) if part not in _TAGS) for detail in details]
    flaws = [
        (".".join(map(str, place)), problem_text(detail, _siblings(place, parts)))
        for detail, place in zip(details, places, strict=True)
    ]
    if any(place == ("training", "method") for place in places):
        # The fields of `training` depend on the method.
        method = document["training"]["method"]
        flaws = [flaw for flaw in flaws if not flaw[0].startswith("training.")]
        flaws.append(("training.method", f"must be adam or gauss-newton, not {shown(method)}"))
        places.append(("training",))
    wrong = {place[:2] for place in places} | {place[:1] for place in places if len(place) == 1}
    model, training = (_Readable(form, document.get(name), name, wrong) for name, form in parts.items())
    flaws += [(f"model.{field}", problem) for field, problem in readable_flaws(SPEC_CHECKS, model)]
    return [*flaws, *recipe_flaws(model, training)]


def _is_of_several_fields(details: ErrorDetails) -> bool:
    return isinstance(details.get("ctx", {}).get("error"), InconsistentError)


def _is_gauss_newton(document: dict[str, Any]) -> bool:
    return _method(document.get("training")) == "gauss-newton"


def _siblings(place: tuple[int | str, ...], parts: dict[str, type[BaseModel]]) -> list[str]:
    form: Any = Recipe if len(place) == 1 else parts.get(str(place[0]))
    for part in place[1:-1]:
        form = form.model_fields[str(part)].annotation if hasattr(form, "model_fields") else None
    return list(getattr(form, "model_fields", []))


class _Readable:
    """The valid fields of a part of a recipe; accessing others raises `UnreadableError`."""

    def __init__(
        self, form: type[BaseModel], content: object, name: str, wrong: Collection[tuple[int | str, ...]]
    ) -> None:
        self._values: dict[str, Any] = {}
        if not isinstance(content, dict):
            return
        for field, info in form.model_fields.items():
            if (name, field) in wrong or (name,) in wrong:
                continue
            if field in content:
                form_of_field: Any = info.annotation
                self._values[field] = TypeAdapter(form_of_field).validate_python(content[field])
            elif not info.is_required():
                self._values[field] = info.default

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise UnreadableError(name) from None

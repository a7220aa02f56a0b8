"""Campaign plans in YAML (docs/reference/campaigns.md)."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from pisnn_deploy import target as profiles
from pisnn_deploy.campaign.case import HORIZON, NO_FAULT, OWN, RANDOM, Case, Named, Residues, Target
from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.core.field_errors import problem_text
from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.faults.spec import parse_fault
from pisnn_deploy.mesh import parse_boundary, parse_shape
from pisnn_deploy.mesh.file_content import FORMATS
from pisnn_deploy.physics import problems
from pisnn_deploy.project import zoo
from pisnn_deploy.target import load_profile

LARGEST_PRODUCT = 100_000
"""Maximum number of cases of a plan, checked before creating them."""
LONGEST_RUN = 1 << 40
"""Maximum number of PDE steps of a case."""


def _as_text(value: object) -> object:
    """Convert a one-dimensional mesh, which YAML reads as an integer, to text."""
    return str(value) if type(value) is int else value


def _as_steps(value: object) -> object:
    if value != HORIZON and (type(value) is not int or not 0 <= value <= LONGEST_RUN):
        raise ValueError(f"expected {HORIZON}, or PDE steps from 0 to {LONGEST_RUN}")
    return value


_Text = Annotated[str, Field(min_length=1, max_length=4096)]
_Mesh = Annotated[_Text, BeforeValidator(_as_text)]
_Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
_Steps = Annotated[int | str, BeforeValidator(_as_steps)]
_Backend = Literal["cpu", "fast", "onnx", "torch"]
_Some = Field(min_length=1, max_length=LARGEST_PRODUCT)


class Plan(BaseModel):
    """A campaign plan: all combinations of these lists are run.

    Attributes
    ----------
    models : tuple of str
        Names in the zoo, or checkpoints (``.safetensors``, ``.pt``).
    meshes : tuple of str
        ``own``, cells along each axis, or mesh files.
    boundaries : tuple of str
        ``own``, or conditions as for ``compile --boundary``.
    profiles : tuple of str
        Names in the library, or YAML files.
    codings : tuple of str
        ``delta`` or ``dense``.
    residues : tuple of str
        ``unseen``, ``seen`` or ``auto``, as for ``compile --residues``.
    initial : tuple of str
        ``own``, names of initial conditions, ``.npy`` files, or ``random`` for a random field per seed.
    seeds : tuple of int
        Seeds of random initial fields.
    steps : tuple of int or str
        PDE steps, or ``horizon`` for the problem's final time.
    backends : tuple of str
        Names of backends.
    faults : tuple of str
        ``none``, or faults as for ``simulate --fault``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    models: Annotated[tuple[_Text, ...], _Some]
    meshes: Annotated[tuple[_Mesh, ...], _Some] = (OWN,)
    boundaries: Annotated[tuple[_Text, ...], _Some] = (OWN,)
    profiles: Annotated[tuple[_Text, ...], _Some] = ("loihi2",)
    codings: Annotated[tuple[Literal["delta", "dense"], ...], _Some] = ("delta",)
    residues: Annotated[tuple[Residues, ...], _Some] = ("unseen",)
    initial: Annotated[tuple[_Text, ...], _Some] = (OWN,)
    seeds: Annotated[tuple[_Seed, ...], Field(max_length=LARGEST_PRODUCT)] = ()
    steps: Annotated[tuple[_Steps, ...], _Some] = (HORIZON,)
    backends: Annotated[tuple[_Backend, ...], _Some] = ("fast",)
    faults: Annotated[tuple[_Text, ...], _Some] = (NO_FAULT,)

    @field_validator("*", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Accept a single value instead of a list."""
        return value if isinstance(value, list | tuple) else [value]

    @property
    def size(self) -> int:
        """Number of cases."""
        starts = len(self.initial) + (len(self.seeds) - 1 if RANDOM in self.initial else 0)
        targets = (self.models, self.meshes, self.boundaries, self.profiles, self.codings, self.residues)
        return math.prod(map(len, (*targets, self.steps, self.backends, self.faults))) * starts


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises
    ------
    FileError
        The file cannot be read, a field is invalid, or there are more than `LARGEST_PRODUCT` cases; the message names
        the field.
    """
    document = read_mapping(path)
    try:
        plan = Plan.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise FileError(path, problem_text(first, tuple(Plan.model_fields)), field=field or "plan") from error
    if (RANDOM in plan.initial) != bool(plan.seeds):
        raise FileError(path, "must be given if and only if initial has random", field="seeds")
    for axis in type(plan).model_fields:
        twice = [value for value, count in Counter(getattr(plan, axis)).items() if count > 1]
        if twice:
            raise FileError(path, f"lists {twice[0]} twice", field=axis)
    if plan.size > LARGEST_PRODUCT:
        raise FileError(path, f"has {plan.size} cases, more than {LARGEST_PRODUCT}", remedy="split the plan")
    return plan


def cases_of(plan: Plan, path: Path) -> tuple[Case, ...]:
    """All cases of a plan, in the order of its fields; cases that share an artifact are consecutive.

    Parameters
    ----------
    path : Path
        File of the plan; its paths are relative to the folder of this file.

    Raises
    ------
    FileError
        A name in the plan is unknown or invalid; the message names the field.
    """
    models = _resolved(path, "models", plan.models, _model)
    meshes = _resolved(path, "meshes", plan.meshes, _mesh)
    if not any(mesh.is_file for mesh in meshes):
        # Boundary groups of a mesh from a file can have any name.
        _resolved(path, "boundaries", plan.boundaries, _conditions)
    profiles = _resolved(path, "profiles", plan.profiles, _profile)
    initial = _resolved(path, "initial", plan.initial, _initial)
    starts = [(start, seed) for start in initial for seed in (plan.seeds if start.text == RANDOM else (None,))]
    _resolved(path, "faults", plan.faults, _fault)
    runs = tuple(itertools.product(starts, plan.steps, plan.backends, plan.faults))
    return tuple(
        Case(target, start, seed, None if isinstance(steps, str) else steps, backend, fault)
        for target in itertools.starmap(
            Target, itertools.product(models, meshes, plan.boundaries, profiles, plan.codings, plan.residues)
        )
        for (start, seed), steps, backend, fault in runs
    )


def _resolved(path: Path, axis: str, texts: Sequence[str], resolve: Callable[[str, Path], Named]) -> tuple[Named, ...]:
    resolved = []
    for number, text in enumerate(texts):
        try:
            resolved.append(resolve(text, path.parent))
        except UsageError as error:
            raise FileError(path, str(error), field=f"{axis}.{number}") from error
    return tuple(resolved)


def _model(text: str, folder: Path) -> Named:
    if text in zoo.names():
        with zoo.model_path(text) as file:
            return Named(text, text, digest_of_file(file))
    if text in zoo.laws():
        with zoo.recipe_path(text) as file:
            return Named(text, text, digest_of_file(file))
    if not Path(text).suffix:
        raise UsageError(f"model {text!r} is unknown; use a file, or {', '.join((*zoo.names(), *zoo.laws()))}")
    return _file(text, folder)


def _mesh(text: str, folder: Path) -> Named:
    if Path(text).suffix.lower() in FORMATS:
        return _file(text, folder)
    if text != OWN:
        parse_shape(text)
    return Named(text, text)


def _conditions(text: str, folder: Path) -> Named:
    """Check that boundary conditions are valid for a grid of some dimension."""
    if text != OWN and not any(_parses(text, dimensions) for dimensions in (1, 2, 3)):
        raise UsageError(f"{text!r}: expected conditions such as no-flux, dirichlet=0,1 or x=periodic y=no-flux")
    return Named(text, text)


def _parses(text: str, dimensions: int) -> bool:
    try:
        parse_boundary(text, dimensions)
    except UsageError:
        return False
    return True


def _profile(text: str, folder: Path) -> Named:
    location = text if not Path(text).suffix else str((folder / text).resolve())
    return Named(text, location, digest_of_profile(location))


def _initial(text: str, folder: Path) -> Named:
    if Path(text).suffix == ".npy":
        return _file(text, folder)
    known = {name for problem in problems.NAMES for name in problems.problem(problem).initial_conditions}
    if text not in (OWN, RANDOM, *known):
        raise UsageError(f"{text!r}: expected {OWN}, {RANDOM}, a .npy file, or one of {', '.join(sorted(known))}")
    return Named(text, text)


def _fault(text: str, folder: Path) -> Named:
    if text != NO_FAULT:
        parse_fault(text)
    return Named(text, text)


def _file(text: str, folder: Path) -> Named:
    path = (folder / text).resolve()
    return Named(text, str(path), digest_of_file(path))


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises
    ------
    FileError
        The path is not a file, or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if path.exists() and not path.is_file():
            raise FileError(path, "is not a file")
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def digest_of_profile(name_or_path: str) -> str:
    """SHA-256 of a profile, including inherited fields, hexadecimal.

    Raises
    ------
    UsageError
        The profile does not exist or is invalid.
    """
    return profiles.digest_of_profile(load_profile(name_or_path))

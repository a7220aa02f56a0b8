"""Read laws: recipes with a section `law`, checkpoints of trained laws, and laws of the zoo."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from pisnn_deploy.core.plain_yaml import read_mapping
from pisnn_deploy.formats.reading import format_of
from pisnn_deploy.laws.flux_network import TrainedFluxes, TrainedLaw
from pisnn_deploy.laws.spec import LawSpec, is_law, law_from_mapping
from pisnn_deploy.project import zoo
from pisnn_deploy.project.conditions import is_yaml
from pisnn_deploy.project.model_file import CHECKPOINT, is_file_name


@dataclass(frozen=True)
class LawRead:
    """A law and its origin.

    Attributes
    ----------
    path : Path
        File that says it.
    sha256 : str
        Hash of the file.
    fluxes : TrainedFluxes or None
        Of a checkpoint.
    """

    path: Path
    sha256: str
    spec: LawSpec
    fluxes: TrainedFluxes | None = None


def read_law_model(name_or_path: str) -> LawRead | None:
    """Read a law that is to be compiled; None for any other model.

    Parameters
    ----------
    name_or_path : str
        A YAML file, a checkpoint, or the name of a law of the zoo.

    Raises
    ------
    FileError, SeveralErrors
        It is the recipe or checkpoint of a law, and is invalid.
    """
    if not is_file_name(name_or_path) and name_or_path not in zoo.laws():
        return None
    with nullcontext(Path(name_or_path)) if is_file_name(name_or_path) else zoo.law_path(name_or_path) as path:
        if is_yaml(str(path)):
            content = read_mapping(path) if path.is_file() else {}
            return LawRead(path, _digest(path), law_from_mapping(path, content)) if is_law(content) else None
        if format_of(path) != CHECKPOINT or not path.is_file():
            return None
        from pisnn_deploy.training.checkpoint import read_any_checkpoint

        model = read_any_checkpoint(path)
        return LawRead(path, _digest(path), model.spec, model.fluxes) if isinstance(model, TrainedLaw) else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

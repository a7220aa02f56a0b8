"""Read models: checkpoints, models of the zoo, and networks in other formats."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.core.pointers import require_content
from pisnn_deploy.formats.reading import Imported, Request, format_of, import_model
from pisnn_deploy.physics.model import Model
from pisnn_deploy.project import zoo

CHECKPOINT = "checkpoint"


def is_file_name(name_or_path: str) -> bool:
    """Whether a name means a file: it exists or looks like one; a folder named like a model does not count."""
    path = Path(name_or_path)
    return path.is_file() or bool(path.suffix)


@contextmanager
def model_file(name_or_path: str) -> Iterator[Path]:
    """The named file if it exists, else the checkpoint of a model of the zoo."""
    path = Path(name_or_path)
    if is_file_name(name_or_path):
        yield path
    else:
        with zoo.model_path(name_or_path) as zoo_path:
            yield zoo_path


def is_artifact(path: Path) -> bool:
    """Whether a file is an artifact rather than a model; both can be zip files."""
    require_content(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return "graph.json" in archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return path.suffix == ".pisnn"


@dataclass(frozen=True)
class ModelRead:
    """A model and its origin.

    Attributes
    ----------
    sha256 : str
        Hash of the file.
    source : str
        ``checkpoint``, ``onnx``, ``netx`` or ``nir``.
    notes : tuple of str
        Notes on what the import changed or left out.
    is_integer : bool
        Whether the weights are the integers of an artifact, to be used unchanged.
    """

    model: Model
    sha256: str
    source: str
    notes: tuple[str, ...] = ()
    is_integer: bool = False


def read_model(name_or_path: str, request: Request) -> ModelRead:
    """Read a model, whatever its format.

    Parameters
    ----------
    name_or_path : str
        Model of the zoo, or a file; its content says in which format it is.
    request : Request
        Problem and diffusion number for a network that comes without a spec.

    Raises
    ------
    UsageError
        It cannot be read, or the request repeats what a checkpoint says itself.
    """
    with model_file(name_or_path) as path:
        if format_of(path) == CHECKPOINT:
            from pisnn_deploy.training.checkpoint import read_checkpoint

            imported = Imported(read_checkpoint(path), CHECKPOINT, ())
            if request.problem is not None or request.diffusion_number is not None:
                raise UsageError(
                    f"{path}: a checkpoint names its own problem; leave out `problem` and `diffusion_number`"
                )
        else:
            imported = import_model(path, request)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return ModelRead(imported.model, digest, imported.source, imported.notes, imported.is_integer)

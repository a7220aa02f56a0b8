"""Graphs as the commands compile them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.project.compilation import compile_requested
from pisnn_deploy.project.keywords import FileName
from pisnn_deploy.project.request import CompileKeywords, compile_request

if TYPE_CHECKING:
    from typing_extensions import Unpack


def compile_file(model: FileName, **options: Unpack[CompileKeywords]) -> tuple[IntegerGraph, dict[str, Any]]:
    """Graph and provenance of a model of the zoo or from a file."""
    return compile_requested(compile_request(model, **options))

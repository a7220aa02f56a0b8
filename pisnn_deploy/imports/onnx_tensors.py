"""Tensors and attributes of ONNX, from untrusted models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pisnn_deploy.errors import FileError
from pisnn_deploy.imports.affine import LARGEST_ELEMENTS

Constant = NDArray[Any]


class NodeError(Exception):
    """What is wrong with a node."""


def tensor_values(path: Path | None, tensor: TensorProto) -> Constant:
    """Numbers of a tensor that the file itself holds.

    Parameters
    ----------
    path : Path or None
        For messages; None where the tensor is a node's value, and the node is named instead.
    tensor : onnx.TensorProto

    Returns
    -------
    array

    Raises
    ------
    FileError
        It is stored elsewhere, holds no numbers, or not as many as its shape says.
    """
    problem = ""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        problem = "is stored in another file, which is not read; save the model with its weights"
    elif tensor.data_type not in _NUMBERS:
        problem = "is not a tensor of numbers"
    elif any(size < 0 for size in tensor.dims) or len(tensor.dims) > 8:
        problem = "has a shape that no tensor has"
    elif math.prod(tensor.dims) > LARGEST_ELEMENTS:
        problem = f"holds more than {LARGEST_ELEMENTS} numbers"
    else:
        try:
            return np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, OverflowError, KeyError, MemoryError):
            problem = "holds more or fewer numbers than its shape says"
    if path is None:
        raise NodeError(f"its value {problem}")
    raise FileError(path, problem, field=f"initializer {tensor.name!r}")


_NUMBERS = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.FLOAT16,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT16,
    TensorProto.UINT16,
    TensorProto.INT32,
    TensorProto.INT64,
)


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node by name, without subgraphs; tensors as ``onnx.TensorProto``."""
    return {
        attribute.name: attribute.t if attribute.type == attribute.TENSOR else helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if attribute.type not in (attribute.GRAPH, attribute.GRAPHS)
    }

"""Tensors and attributes of untrusted ONNX models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.formats.affine import LARGEST_ELEMENTS

Constant = NDArray[Any]

INTEGERS: dict[int, tuple[int, int]] = {
    TensorProto.INT8: (-(1 << 7), (1 << 7) - 1),
    TensorProto.UINT8: (0, (1 << 8) - 1),
    TensorProto.INT16: (-(1 << 15), (1 << 15) - 1),
    TensorProto.UINT16: (0, (1 << 16) - 1),
    TensorProto.INT4: (-(1 << 3), (1 << 3) - 1),
    TensorProto.UINT4: (0, (1 << 4) - 1),
    getattr(TensorProto, "INT2", -1): (-2, 1),
    getattr(TensorProto, "UINT2", -2): (0, 3),
}
"""Integer types of `QuantizeLinear`, with their smallest and largest value."""
FLOATS: dict[int, float] = {TensorProto.FLOAT: 2.0**-24, TensorProto.DOUBLE: 2.0**-53, TensorProto.FLOAT16: 2.0**-11}
"""Floating-point types, with the largest relative error of one rounding."""
NUMBERS: tuple[int, ...] = (*FLOATS, *INTEGERS, TensorProto.INT32, TensorProto.INT64)


class NodeError(Exception):
    """A problem with a node; the reader adds the file and the node."""


def type_name(kind: int) -> str:
    """Name of an ONNX type, such as ``INT4``."""
    names: dict[int, str] = {int(number): str(name) for name, number in TensorProto.DataType.items()}
    return names.get(kind, f"of number {kind}")


def type_of(values: Constant) -> int:
    """ONNX type of an array from `tensor_values`."""
    return int(helper.np_dtype_to_tensor_dtype(values.dtype))


def array_of(values: NDArray[np.float64], kind: int) -> Constant:
    """Convert numbers to an ONNX type."""
    dtype: Any = helper.tensor_dtype_to_np_dtype(kind)
    # Types of fewer than 8 bits can only be converted from integers.
    return np.asarray(values.astype(np.int64).astype(dtype))


def tensor_values(path: Path | None, tensor: TensorProto) -> Constant:
    """Read the numbers of a tensor that is stored in the file itself.

    Parameters
    ----------
    path : Path or None
        File for error messages; None if the caller names the node instead.

    Returns
    -------
    array
        In the tensor's shape and type.

    Raises
    ------
    FileError
        The tensor is external, not numeric, or does not have as many numbers as its shape.
    """
    problem = ""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        problem = "is stored in another file, which is not supported; save the model with its weights"
    elif tensor.data_type not in NUMBERS:
        problem = f"has the type {type_name(tensor.data_type)}; use {', '.join(map(type_name, NUMBERS))}"
    elif any(size < 0 for size in tensor.dims) or len(tensor.dims) > 8:
        problem = "has an invalid shape"
    elif math.prod(tensor.dims) > LARGEST_ELEMENTS:
        problem = f"has more than {LARGEST_ELEMENTS} numbers"
    else:
        try:
            return np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, OverflowError, KeyError, MemoryError, IndexError):
            problem = "does not have as many numbers as its shape"
    if path is None:
        raise NodeError(f"has a value that {problem}")
    raise FileError(path, problem, field=f"initializer {tensor.name!r}")


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node by name, without subgraphs; tensors as ``onnx.TensorProto``."""
    return {
        attribute.name: attribute.t if attribute.type == attribute.TENSOR else helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if attribute.type not in (attribute.GRAPH, attribute.GRAPHS)
    }

"""Tensors and attributes of ONNX, from untrusted models."""

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
"""Types that `QuantizeLinear` rounds to, with their least and largest number."""
FLOATS: dict[int, float] = {TensorProto.FLOAT: 2.0**-24, TensorProto.DOUBLE: 2.0**-53, TensorProto.FLOAT16: 2.0**-11}
"""Types of real numbers, with the largest relative error of one rounding."""
NUMBERS: tuple[int, ...] = (*FLOATS, *INTEGERS, TensorProto.INT32, TensorProto.INT64)


class NodeError(Exception):
    """What is wrong with a node."""


def type_name(kind: int) -> str:
    """Name of a type of ONNX, such as ``INT4``."""
    names: dict[int, str] = {int(number): str(name) for name, number in TensorProto.DataType.items()}
    return names.get(kind, f"of number {kind}")


def type_of(values: Constant) -> int:
    """Type of ONNX of an array that `tensor_values` returned."""
    return int(helper.np_dtype_to_tensor_dtype(values.dtype))


def array_of(values: NDArray[np.float64], kind: int) -> Constant:
    """Numbers in a type of ONNX that holds them."""
    dtype: Any = helper.tensor_dtype_to_np_dtype(kind)
    # Types of fewer than 8 bits are made from integers alone.
    return np.asarray(values.astype(np.int64).astype(dtype))


def tensor_values(path: Path | None, tensor: TensorProto) -> Constant:
    """Numbers of a tensor that the file itself holds.

    Parameters
    ----------
    path : Path or None
        For messages; None where the tensor is a node's value, and the node is named instead.

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
    elif tensor.data_type not in NUMBERS:
        problem = f"is of type {type_name(tensor.data_type)}, known are {', '.join(map(type_name, NUMBERS))}"
    elif any(size < 0 for size in tensor.dims) or len(tensor.dims) > 8:
        problem = "has a shape that no tensor has"
    elif math.prod(tensor.dims) > LARGEST_ELEMENTS:
        problem = f"holds more than {LARGEST_ELEMENTS} numbers"
    else:
        try:
            return np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, OverflowError, KeyError, MemoryError, IndexError):
            problem = "holds more or fewer numbers than its shape says"
    if path is None:
        raise NodeError(f"its value {problem}")
    raise FileError(path, problem, field=f"initializer {tensor.name!r}")


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node by name, without subgraphs; tensors as ``onnx.TensorProto``."""
    return {
        attribute.name: attribute.t if attribute.type == attribute.TENSOR else helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if attribute.type not in (attribute.GRAPH, attribute.GRAPHS)
    }

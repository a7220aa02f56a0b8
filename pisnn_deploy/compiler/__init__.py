"""The compiler: from a trained model or a law to a proved, scheduled and placed integer graph."""

from pisnn_deploy.compiler.compile import compile_law, compile_model
from pisnn_deploy.compiler.options import CompileOptions, GraphOptions
from pisnn_deploy.compiler.passes.alike import plain_model
from pisnn_deploy.compiler.passes.lower import Lower
from pisnn_deploy.compiler.passes.lower_two_point import LowerMultiPoint, LowerTwoPoint, Material

__all__ = [
    "CompileOptions",
    "GraphOptions",
    "Lower",
    "LowerMultiPoint",
    "LowerTwoPoint",
    "Material",
    "compile_law",
    "compile_model",
    "plain_model",
]

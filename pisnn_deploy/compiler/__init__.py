"""The compiler: from a trained model to a proved, scheduled and placed integer graph."""

from pisnn_deploy.compiler.passes.alike import plain_model
from pisnn_deploy.compiler.passes.two_point import LowerTwoPoint, Material
from pisnn_deploy.compiler.pipeline import CompileOptions, TwoPointOptions, compile_model, pipeline

__all__ = ["CompileOptions", "LowerTwoPoint", "Material", "TwoPointOptions", "compile_model", "pipeline", "plain_model"]

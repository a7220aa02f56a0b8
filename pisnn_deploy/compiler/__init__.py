"""The compiler: from a trained model to a proved, scheduled and placed integer graph."""

from pisnn_deploy.compiler.pipeline import CompileOptions, compile_model, pipeline

__all__ = ["CompileOptions", "compile_model", "pipeline"]

"""From a law to an integer graph: fixed-point programs, schemes, boundaries and ledgers."""

from pisnn_deploy.compiler.construct.construct import construct

__all__ = ["construct"]

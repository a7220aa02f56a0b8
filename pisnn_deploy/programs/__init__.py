"""Neurons as programs: the language, the programs of this project, and readers that execute or analyse them."""

from __future__ import annotations

from pisnn_deploy.programs.language import MAX_OPERATIONS, Operand, Operation, Program, Table, parse
from pisnn_deploy.programs.reading import Prepared, Reader, Result, run

__all__ = ["MAX_OPERATIONS", "Operand", "Operation", "Prepared", "Program", "Reader", "Result", "Table", "parse", "run"]

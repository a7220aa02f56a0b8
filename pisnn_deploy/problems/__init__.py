"""Problems: equations with initial conditions and reference solutions."""

from pisnn_deploy.problems.problem import NAMES, Problem, problem

__all__ = ["NAMES", "Problem", "problem"]

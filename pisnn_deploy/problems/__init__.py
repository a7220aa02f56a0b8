"""Problems: equations with initial conditions and reference solutions."""

from pisnn_deploy.problems.heat import heat1d
from pisnn_deploy.problems.problem import NAMES, Problem, problem

__all__ = ["NAMES", "Problem", "heat1d", "problem"]

"""Problems: equations with initial conditions and reference solutions."""

from pisnn_deploy.problems.problem import EQUATIONS, NAMES, Problem, problem

__all__ = ["EQUATIONS", "NAMES", "Problem", "problem"]

"""Problems: equations with initial conditions and reference solutions."""

from pisnn_deploy.physics.problems.problem import EQUATIONS, NAMES, Problem, mismatch, problem, problem_of_spec

__all__ = ["EQUATIONS", "NAMES", "Problem", "mismatch", "problem", "problem_of_spec"]

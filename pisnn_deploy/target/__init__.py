"""Hardware profiles: capacities and costs of a target, as data with sources."""

from pisnn_deploy.target.boards import Board, Fpga, Microcontroller, Target
from pisnn_deploy.target.flaws import Problem
from pisnn_deploy.target.inheritance import board_names, names
from pisnn_deploy.target.library import (
    DEFAULT,
    LIBRARY,
    digest_of_profile,
    load_board,
    load_profile,
    load_target,
    own_profile,
    parents_of,
    source_of,
    validate_profile,
)
from pisnn_deploy.target.schema import Confidence, Figure, Profile

__all__ = [
    "DEFAULT",
    "LIBRARY",
    "Board",
    "Confidence",
    "Figure",
    "Fpga",
    "Microcontroller",
    "Problem",
    "Profile",
    "Target",
    "board_names",
    "digest_of_profile",
    "load_board",
    "load_profile",
    "load_target",
    "names",
    "own_profile",
    "parents_of",
    "source_of",
    "validate_profile",
]

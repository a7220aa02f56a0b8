"""Hardware profiles: capacities and costs of a target, as data with sources."""

from pisnn_deploy.target.flaws import Problem
from pisnn_deploy.target.inheritance import names
from pisnn_deploy.target.library import (
    DEFAULT,
    LIBRARY,
    digest_of_profile,
    load_profile,
    own_profile,
    parents_of,
    source_of,
    validate_profile,
)
from pisnn_deploy.target.schema import Confidence, Figure, Profile

__all__ = [
    "DEFAULT",
    "LIBRARY",
    "Confidence",
    "Figure",
    "Problem",
    "Profile",
    "digest_of_profile",
    "load_profile",
    "names",
    "own_profile",
    "parents_of",
    "source_of",
    "validate_profile",
]

"""Hardware profiles: what a target can hold, as data with sources."""

from pisnn_deploy.profiles.inheritance import names
from pisnn_deploy.profiles.library import load_profile, parents_of, validate_profile
from pisnn_deploy.profiles.problems import Problem
from pisnn_deploy.profiles.schema import Confidence, Figure, Profile

__all__ = ["Confidence", "Figure", "Problem", "Profile", "load_profile", "names", "parents_of", "validate_profile"]

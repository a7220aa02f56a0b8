"""Hardware profiles: what a target can hold, as data with sources."""

from pisnn_deploy.profiles.library import load_profile, names
from pisnn_deploy.profiles.schema import Confidence, Figure, Profile

__all__ = ["Confidence", "Figure", "Profile", "load_profile", "names"]

"""Pictures of runs and graphs."""

import logging

# Where matplotlib keeps its cache is no concern of a command that was asked for a picture.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

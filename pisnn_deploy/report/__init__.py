"""Pictures and reports of runs and graphs."""

import logging

# Commands that draw a picture must not print warnings about matplotlib's cache.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

"""Fields of users in and out: the formats of ``simulate --initial`` and ``--save``, and expressions of the place."""

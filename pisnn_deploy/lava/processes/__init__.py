"""The integer graph as Lava processes, and the worker process that runs them.

Only the worker imports Lava. Each process stands in a folder of its own with its model and nothing else, because Lava
executes every file beside a process's file when it compiles.
"""

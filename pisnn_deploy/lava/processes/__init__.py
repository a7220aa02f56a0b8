"""Lava processes of the integer graph and their models.

Each process has a separate folder with only its models, because Lava's compiler executes all files in the folder of a
process.
"""

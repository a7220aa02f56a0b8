"""Campaigns: run all combinations of models, meshes, initial fields and backends on a Dask cluster."""

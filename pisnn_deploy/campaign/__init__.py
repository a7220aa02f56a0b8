"""Campaigns: the product of models, meshes, starts and backends, run on a Dask cluster into one Parquet file."""

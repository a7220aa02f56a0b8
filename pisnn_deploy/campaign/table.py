"""Read and write the table of a campaign as a Parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pisnn_deploy.campaign.plan import LARGEST_PRODUCT
from pisnn_deploy.campaign.row import Row
from pisnn_deploy.campaign.seal import damage, seal_of
from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.output import whole_file
from pisnn_deploy.core.pointers import require_content

LARGEST_TABLE = 1 << 30
"""Maximum size in bytes, checked before anything is allocated."""
_ROWS = TypeAdapter(list[Row])
_SEAL = "pisnn-deploy.rows"
"""Metadata field with the hash of all rows."""
_REMEDY = "start anew without `resume`"


def write_table(path: Path, rows: Iterable[Row], notes: Mapping[str, str]) -> None:
    """Write a table atomically.

    Parameters
    ----------
    rows : iterable of Row
        Rows in their final order.
    notes : mapping of str to str
        Additional metadata.

    Raises
    ------
    FileError
        The file cannot be written.
    """
    from pyarrow import Table, parquet

    written = list(rows)
    columns = {field.name: [getattr(row, field.name) for row in written] for field in fields(Row)}
    metadata = dict(notes) | {_SEAL: seal_of(written)}
    table = Table.from_pydict(columns, schema=_schema().with_metadata(metadata))
    with whole_file(path) as stream:
        parquet.write_table(table, stream)


def read_table(path: Path) -> list[Row]:
    """Read a table that `write_table` wrote.

    Raises
    ------
    FileError
        The file cannot be read, is damaged, or is not the table of a campaign.
    """
    from pyarrow import ArrowException, parquet

    require_content(path)
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise FileError(path, f"is larger than {LARGEST_TABLE} bytes")
        with parquet.ParquetFile(path) as file:
            # Checked before decompressing anything.
            if not file.schema_arrow.equals(_schema()) or file.metadata.num_rows > LARGEST_PRODUCT:
                raise FileError(path, "is not the table of a campaign", remedy=_REMEDY)
            rows = _ROWS.validate_python(file.read().to_pylist())
            seal = (file.schema_arrow.metadata or {}).get(_SEAL.encode(), b"").decode(errors="replace")
    except ValidationError as error:
        raise FileError(path, damage(error), remedy=_REMEDY) from error
    # pyarrow decodes text only when Python asks for it.
    except (OSError, ArrowException, UnicodeDecodeError) as error:
        raise FileError(path, "is not the table of a campaign", remedy=_REMEDY) from error
    if seal != seal_of(rows):
        raise FileError(path, "is damaged (rows were changed)", remedy=_REMEDY)
    return rows


def _schema() -> Any:
    import pyarrow

    kinds = {"str": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    kinds |= {"Verdict": pyarrow.string()}
    columns = [(field.name, str(field.type)) for field in fields(Row)]
    return pyarrow.schema(
        [
            pyarrow.field(name, kinds[kind.removesuffix(" | None")], nullable=kind.endswith(" | None"))
            for name, kind in columns
        ]
    )

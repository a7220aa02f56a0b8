"""The table of a campaign as one Parquet file."""

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
"""Bytes; a larger file is refused before anything is allocated."""
_ROWS = TypeAdapter(list[Row])
_SEAL = "pisnn-deploy.rows"
"""Where the metadata have the hash of all rows."""
_REMEDY = "start anew without `resume`"


def write_table(path: Path, rows: Iterable[Row], notes: Mapping[str, str]) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    rows : iterable of Row
        In the order in which they are to stand.
    notes : mapping of str to str
        Go into the file's metadata.

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
        It cannot be read, or is no table of a campaign.
    """
    from pyarrow import ArrowException, parquet

    require_content(path)
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise FileError(path, f"is larger than {LARGEST_TABLE} bytes")
        with parquet.ParquetFile(path) as file:
            # Looked at before anything is expanded.
            if not file.schema_arrow.equals(_schema()) or file.metadata.num_rows > LARGEST_PRODUCT:
                raise FileError(path, "is no table of a campaign", remedy=_REMEDY)
            rows = _ROWS.validate_python(file.read().to_pylist())
            seal = (file.schema_arrow.metadata or {}).get(_SEAL.encode(), b"").decode(errors="replace")
    except ValidationError as error:
        raise FileError(path, damage(error), remedy=_REMEDY) from error
    # pyarrow looks at the bytes of a text only when Python asks for it.
    except (OSError, ArrowException, UnicodeDecodeError) as error:
        raise FileError(path, "is no table of a campaign", remedy=_REMEDY) from error
    if seal != seal_of(rows):
        raise FileError(path, "is damaged (not the rows that were written)", remedy=_REMEDY)
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

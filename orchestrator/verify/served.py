"""Whom a search had: written beside its tables, so that a verification can say who is new."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evaluators.datasets.overlap import Served, served_by
from evaluators.datasets.protocol import Protocol
from orchestrator.records.files import replace_file
from orchestrator.search.folder import SERVED


def write_served(folder: Path, protocol: Protocol) -> None:
    """Write who serves as what in a sweep."""
    columns = {name: pa.array(values, pa.string()) for name, values in served_by(protocol).items()}
    table = pa.table(
        {name: column.dictionary_encode() if name == "role" else column for name, column in columns.items()}
    )
    replace_file(folder / SERVED, lambda new: pq.write_table(table, new, compression="zstd"))


def read_served(folder: Path) -> Served | None:
    """Read who served as what; None where a sweep of before it was written down did not."""
    path = folder / SERVED
    if not path.is_file():
        return None
    served: Served = pq.read_table(path).to_pydict()
    return served

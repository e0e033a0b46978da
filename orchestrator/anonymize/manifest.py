"""Manifest: every file and every face, what was done and why; a journal while it grows, a table in the end."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.anonymize.faces.covering import Covered
from orchestrator.anonymize.files import Work
from orchestrator.anonymize.pictures import Outcome
from orchestrator.records.files import replace_file

SCHEMA = pa.schema(
    {
        "file": pa.string(),
        "kind": pa.string(),
        "status": pa.string(),
        "why": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "frames": pa.int64(),
        "frame": pa.int64(),
        "face": pa.int32(),
        "track": pa.int32(),
        "left": pa.float32(),
        "top": pa.float32(),
        "right": pa.float32(),
        "bottom": pa.float32(),
        "score": pa.float32(),
        "done": pa.string(),
        "reason": pa.string(),
    }
)
"""One row per face, in each frame of a video; one for a file without. Boxes are px of the result, upright."""


class Journal:
    """Keep what became of each file as it is finished, one line of JSON each; a torn last line counts as none."""

    def __init__(self, path: Path) -> None:
        """Open a journal, or begin one."""
        self.path = path
        self.lines: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                self.lines[entry["file"]] = entry
        self._file = path.open("ab")
        if path.stat().st_size:
            self._file.write(b"\n")  # a torn line ends here

    def add(self, work: Work, outcome: Outcome) -> None:
        """Note what became of a file, and wait for the disk."""
        entry = entry_of(work, outcome)
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.lines[work.name] = entry

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def entry_of(work: Work, outcome: Outcome) -> dict[str, Any]:
    """Return what a journal keeps of a file, ready for JSON."""
    return {
        "file": work.name,
        "kind": work.kind,
        **{name: getattr(outcome, name) for name in ("status", "why", "width", "height", "frames")},
        "faces": [[frame, track, *one.box, one.score, one.done, one.why] for frame, track, one in outcome.faces],
    }


def write_manifest(path: Path, entries: Iterable[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
    """Write the table, whole or not at all.

    Args:
        path: of the file.
        entries: as `entry_of` makes them.
        facts: about the run, ready for JSON; they become the metadata under the key `anonymize`.
    """
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    own = ("file", "kind", "status", "why", "width", "height", "frames")
    of_face = ("frame", "track", "left", "top", "right", "bottom", "score", "done", "reason")
    for entry in entries:
        seen: dict[int | None, int] = {}
        for face in entry["faces"] or [[None] * len(of_face)]:
            for name in own:
                columns[name].append(entry[name])
            for name, value in zip(of_face, face, strict=True):
                columns[name].append(value)
            columns["face"].append(None if face[2] is None else seen.setdefault(face[0], 0))
            seen[face[0]] = seen.get(face[0], 0) + 1
    schema = SCHEMA.with_metadata({"anonymize": json.dumps(facts, allow_nan=False)})
    table = pa.table(columns, schema=schema)
    replace_file(path, functools.partial(pq.write_table, table, compression="zstd"))


def count_done(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count faces by what was done to them."""
    counts: dict[str, int] = {}
    for entry in entries:
        for face in entry["faces"]:
            counts[face[-2]] = counts.get(face[-2], 0) + 1
    return counts


def covered_of(face: list[Any]) -> Covered:
    """Return what was done to a face, as an entry has it."""
    return Covered((face[2], face[3], face[4], face[5]), face[6], face[7], face[8])

"""How the ledger keeps what people add to the figures of a row, and the replicates that follow from it.

A cell of the column `people` maps places in the list of names, which the schema's metadata has, to the bytes of arrays.
Replicates stand in a row beside it only where they do not follow, digit for digit in the half precision that they have
in the ledger.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluators.measuring.by_person import KAPPA, WORST, Population, stretch_of
from evaluators.metrics import METRICS
from evaluators.metrics.scores import FUSED, People
from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.trials import PEOPLE, REPLICATES, STRETCHED, Row

NAMES = b"people"
"""Key of the metadata that lists the names of what is kept."""
OF_ATTACKERS = (WORST, f"{WORST}{FUSED}")
"""Metrics that are the largest of the attackers' rates."""
CHANCE = "chance_rank1_measured"
KINDS = {1: np.uint8, 2: np.float16, 4: np.float32}
"""Bytes of a number -> what it is."""


def names_kept() -> list[str]:
    """List the names of all that may be kept of a row."""
    fused = [f"{name}{FUSED}" for name in METRICS if name.startswith("rank1_")]
    return [*METRICS, *(name for name in fused if name not in METRICS)]


def encoded(people: People, names: Sequence[str]) -> list[tuple[int, bytes]]:
    """Return what people add as a cell of the column."""
    return [(names.index(name), array.tobytes()) for name, array in people.sums.items()]


def decoded(
    cell: Sequence[tuple[int, bytes]] | None, stretched: str | None, names: Sequence[str], count: int
) -> People | None:
    """Return what the people of a row add; None where the row says nothing of it.

    Args:
        cell: of the column `people`.
        stretched: of the column `stretched`, JSON.
        names: of the schema's metadata.
        count: of the people.
    """
    if cell is None:
        return None
    sums = {names[place]: data for place, data in cell}
    arrays = {
        name: np.frombuffer(data, np.uint8 if name.startswith(KAPPA) else KINDS[len(data) // count])
        for name, data in sums.items()
    }
    return People(
        {name: array.copy() for name, array in arrays.items()},
        {name: stretch_of(stretch) for name, stretch in json.loads(stretched or "{}").items()},
    )


def population_of(sweep: Mapping[str, Any]) -> Population | None:
    """Return who was measured in a sweep, or in its verification; None where its facts do not say so."""
    panel = sweep.get("verified", sweep).get("panel", {})
    return Population.of(panel["people"]) if "people" in panel else None


def without_people(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of the facts about a sweep who was measured: the ledger has it, and nobody reads it in a table."""
    kept = dict(sweep)
    for whose in ("panel", "verified"):
        if whose in kept:
            kept[whose] = {key: fact for key, fact in kept[whose].items() if key != "people"}
    if "panel" in kept.get("verified", {}):
        kept["verified"] = without_people(kept["verified"])
    return kept


def drawn_of(
    population: Population,
    name: str,
    people: People,
    row: Mapping[str, Any],
    attackers: Collection[str] | None = None,
) -> NDArray[np.float16] | None:
    """Return the (R,) replicates of a metric as the ledger would have them; None where they do not follow."""
    found = population.replicates_of(name, people, row, attackers)
    return None if found is None else found.numpy().astype(np.float32).astype(np.float16)


def without_what_follows(columns: Row, population: Population | None) -> Row:
    """Leave the replicates of a flat row out that follow from what people add."""
    people = columns.get(PEOPLE)
    if population is None or people is None:
        return columns
    kept = dict(columns)
    for column in [name for name in columns if name.startswith(REPLICATES)]:
        found = drawn_of(population, column.removeprefix(REPLICATES), people, columns)
        if found is not None and np.array_equal(found, np.asarray(columns[column], np.float16)):
            del kept[column]
    return kept


class Drawn:
    """Read the replicates of the rows of a ledger, those that it keeps and those that follow."""

    def __init__(self, ledger: pa.Table, population: Population | None = None) -> None:
        """Take flat rows.

        Args:
            ledger: as `ledger.read` returns it, or the columns of it that `needed` names.
            population: of its sweep, where it is known already.
        """
        self._table = ledger
        self.objectives: dict[str, str] = sweep_of(ledger).get("objectives", {})
        self._kept = {name for name in ledger.column_names if name.startswith(REPLICATES)}
        self.population: Population | None = None
        if PEOPLE in ledger.column_names and ledger.column(PEOPLE).null_count < len(ledger):
            self.population = population or population_of(sweep_of(ledger))
            self._names: list[str] = json.loads(ledger.schema.metadata[NAMES])

    @staticmethod
    def needed(ledger: pa.Table) -> list[str]:
        """Name the columns that replicates are read from, metrics apart."""
        beside = (PEOPLE, STRETCHED, "n_people", CHANCE)
        return [name for name in ledger.column_names if name.startswith(REPLICATES) or name in beside]

    def people(self, place: int) -> People | None:
        """Return what the people of a row add; None where the row does not say so."""
        if self.population is None:
            return None
        cell, stretched, count = (self._table.column(n)[place].as_py() for n in (PEOPLE, STRETCHED, "n_people"))
        return decoded(cell, stretched, self._names, count)

    def of(
        self, place: int, metrics: Iterable[str], attackers: Collection[str] | None = None
    ) -> dict[str, NDArray[np.float16]]:
        """Return the (R,) replicates of a row, of each metric that has some there.

        Args:
            place: of the row.
            metrics: of which.
            attackers: who counts in `rank1_worst` and its fused kind; None for all who were met.
        """
        found: dict[str, NDArray[np.float16]] = {}
        people: People | None = None
        for name in metrics:
            column = f"{REPLICATES}{name}"
            anew = attackers is not None and name in OF_ATTACKERS
            cell = self._table.column(column)[place] if column in self._kept and not anew else None
            if cell is not None and cell.is_valid:
                found[name] = cell.values.to_numpy(zero_copy_only=False)
            elif self.population is not None and (people := people or self.people(place)) is not None:
                known = (n for n in (name, CHANCE) if n in self._table.column_names)
                values = {n: self._table.column(n)[place].as_py() for n in known}
                drawn = drawn_of(self.population, name, people, values, attackers)
                if drawn is not None:
                    found[name] = drawn
        return found


class Later(Mapping[str, NDArray[np.float16]]):
    """Read the replicates of a row once they are asked for: most rows' never are."""

    def __init__(self, read: Callable[[], Mapping[str, NDArray[np.float16]]]) -> None:
        """Take what reads them."""
        self._read = functools.cache(read)

    def __getitem__(self, name: str) -> NDArray[np.float16]:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

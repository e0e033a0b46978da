"""The end of a preparation: what occurs twice is found, and the shards become one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evaluators.datasets.cropping import context_margin
from evaluators.datasets.duplicates import repeats
from evaluators.datasets.sources.listing import Source
from evaluators.datasets.split import split_people
from orchestrator.prepare.faces_file import REJECTED, Shard, read_shard, write_faces, write_rejected
from orchestrator.prepare.options import FACES


def join_shards(source: Source, folder: Path, paths: Sequence[Path], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Make one file of the shards, without what is a duplicate under two identities."""
    small = [_small(read_shard(path)) for path in paths]
    index = np.concatenate([shard.index for shard in small])
    rejected = [row for shard in small for row in shard.rejected]
    names = sorted({picture.identity for picture in source.pictures})
    number = {name: i for i, name in enumerate(names)}
    identity = np.array([number[source.pictures[i].identity] for i in index], np.int64)
    twin, earlier, same = repeats(
        torch.from_numpy(np.concatenate([shard.fingerprint for shard in small])), torch.from_numpy(identity)
    )
    # Of one photograph under two names neither name can be trusted; where there are no names the first one stays.
    doubtful = (twin if source.known else earlier).tolist()
    rejected += [
        (int(index[row]), "duplicate under two identities", f"also {source.pictures[index[other]].key}")
        for row, other in enumerate(doubtful)
        if other >= 0
    ]
    kept = np.array(doubtful, np.int64) < 0
    rows = [(p.key, p.identity, reason, detail) for i, reason, detail in sorted(rejected) for p in [source.pictures[i]]]
    reasons = dict(Counter(reason for _, _, reason, _ in rows))
    people = sorted({names[i] for i in identity[kept]})
    pictures = [source.pictures[i] for i in index[kept]]
    expressions = sorted({picture.expression for picture in pictures if picture.expression is not None})
    faces = np.concatenate([shard.faces for shard in small])[kept]
    facts: dict[str, Any] = {
        "version": 1,
        "name": source.name,
        "root": str(source.root),
        "plan": dict(plan),
        "context_margin_px": context_margin(plan["size"]),
        "n_faces": len(pictures),
        "n_people": len(people),
        "n_several_faces": int((faces > 1).sum()),
        "n_repeated": int((same.numpy()[kept] >= 0).sum()),
        "rejected_reasons": reasons,
        "ignored": dict(source.ignored),
        "no_split": _no_split(Counter(picture.identity for picture in pictures)),
    }
    write_rejected(folder / REJECTED, rows, facts)
    if not pictures:
        raise ValueError(
            f"SOURCE: expected pictures of faces, got none in {len(source.pictures)} pictures: {reasons}; see "
            f"{folder / REJECTED}, and give others with --overwrite"
        )
    which = {name: i for i, name in enumerate(people)}
    label = {name: i for i, name in enumerate(expressions)}
    columns = {
        "key": [picture.key for picture in pictures],
        "identity": np.array([which[picture.identity] for picture in pictures], np.int64),
        "expression": np.array([label.get(picture.expression or "", -1) for picture in pictures], np.int64),
        "landmarks": np.concatenate([shard.landmarks for shard in small])[kept],
        "score": np.concatenate([shard.score for shard in small])[kept],
        "faces": faces,
        "digest": [digest for digest, keep in zip(_digests(small), kept, strict=True) if keep],
    }
    facts |= {"people": people, "expressions": expressions}
    write_faces(folder / FACES, columns, _pixels(paths, kept), plan["size"], facts)
    return facts


def _small(shard: Shard) -> Shard:
    """Return a copy without pixels, which lets go of the file."""
    none = np.empty((0, 3, 0, 0), np.uint8)
    arrays = {n: np.array(getattr(shard, n)) for n in ("index", "landmarks", "score", "faces", "fingerprint")}
    return Shard(**arrays, image=none, context=none, digest=shard.digest, rejected=shard.rejected)


def _digests(shards: Sequence[Shard]) -> Iterator[str]:
    return (digest for shard in shards for digest in shard.digest)


def _pixels(paths: Sequence[Path], kept: NDArray[np.bool_]) -> Iterator[tuple[int, Mapping[str, NDArray[np.uint8]]]]:
    """Yield the kept pixels shard by shard, with their first row."""
    seen = row = 0
    for path in paths:
        shard = read_shard(path)
        keep = kept[seen : seen + len(shard.index)]
        seen += len(keep)
        if keep.any():
            yield row, {"image": shard.image[keep], "context": shard.context[keep]}
            row += int(keep.sum())


def _no_split(pictures_per_person: Mapping[str, int]) -> str | None:
    """Say why the set cannot carry the default split, None if it can."""
    try:
        split_people(pictures_per_person, seed=0)
    except ValueError as error:
        return str(error)
    return None

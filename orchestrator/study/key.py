"""The key of a study: what each of its questions showed, and what would be right; it stays with who asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.records.files import replace_file
from orchestrator.study.design import digest_of

KEY, PAGE = "study.json", "study.html"
KIND, VERSION = "key of a study", 1
FIELDS = ("study", "sweep", "protocol", "truth_by", "classes", "consent", "configurations", "items", "groups")


def made_key(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a key with its digest.

    Args:
        facts: FIELDS but `study`, ready for JSON.
    """
    return {"kind": KIND, "version": VERSION, "study": digest_of(facts), **facts}


def write_key(key: Mapping[str, Any], folder: Path) -> None:
    """Write a key into the folder of a study."""
    text = json.dumps(key, indent=1, allow_nan=False) + "\n"
    replace_file(folder / KEY, lambda new: new.write_text(text, encoding="utf-8"))


def read_key(folder: Path) -> dict[str, Any]:
    """Read the key of a study.

    Raises:
        ValueError: if there is none, it is of another version, or was changed.
    """
    path = folder / KEY
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"--results: expected a study, {path}: {error.strerror}; python -m orchestrator.study make makes one, "
            "--study names its folder where it was made elsewhere"
        ) from None
    except ValueError:
        raise ValueError(f"--results: expected the key of a study, {path} is no JSON; make the study anew") from None
    if not isinstance(key, dict) or key.get("kind") != KIND:
        raise ValueError(f"--results: expected the key of a study, {path} is another file; make the study anew")
    if key.get("version") != VERSION:
        raise ValueError(f"--results: expected a key of version {VERSION}, {path} has {key.get('version')}")
    if missing := [name for name in FIELDS if name not in key]:
        raise ValueError(f"--results: expected {missing[0]} in the key of a study, {path} lacks it; make it anew")
    if digest_of({name: key[name] for name in FIELDS if name != "study"}) != key["study"]:
        raise ValueError(f"--results: {path} was changed after the study was made; take the file that was made")
    return key

"""The choice of networks: which are the default, and whether a choice can serve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS, convention_of
from evaluators.networks.catalog.published import ZOO

BACKBONES = ("lpips_alex", "lpips_squeeze", "lpips_vgg")
"""LPIPS' backbones; the first that was pulled is measured with."""


INCEPTION = "fid_inception"


DETECTOR_NAME = "scrfd_2.5g"


DEFAULT_NETWORKS = {
    "embedder": "edgeface_xs",
    "held_out": "mobilefacenet_192",
    "teacher": "facex",
    "embedder_input": "",
}


def is_path(name: str) -> bool:
    """Tell the path of an ONNX file from a name of the zoo."""
    return name.endswith(".onnx")


def check_networks(*, embedder: str, held_out: str, teacher: str, embedder_input: str = "") -> None:
    """Check a choice of networks before anything is loaded.

    Args:
        embedder, held_out: names in EMBEDDERS, or paths of ArcFace-style ONNX files.
        teacher: name in TEACHERS.
        embedder_input: how the embedder at a path is fed, see `convention_of`.

    Raises:
        ValueError: if a name is not known, a path leads nowhere, or the held-out embedder is of the family of the one
            that is searched with. The sentence names the option.
    """
    if embedder_input and not is_path(embedder):
        raise ValueError(f"--embedder-input: expected --embedder to be the path of an ONNX file, got {embedder!r}")
    if is_path(embedder):
        convention_of("--embedder", Path(embedder), embedder_input)
    if is_path(held_out):
        convention_of("--held-out", Path(held_out))
    for option, name, table in (
        ("--embedder", embedder, EMBEDDERS),
        ("--held-out", held_out, EMBEDDERS),
        ("--teacher", teacher, TEACHERS),
    ):
        if table is EMBEDDERS and is_path(name):
            continue
        if name not in table:
            also = ", or the path of an ONNX file" if table is EMBEDDERS else ""
            raise ValueError(f"{option}: expected one of {', '.join(table)}{also}, got {name!r}")
    families = [str(Path(name).resolve()) if is_path(name) else ZOO[name].family for name in (embedder, held_out)]
    if families[0] == families[1]:
        raise ValueError(
            f"--held-out {held_out}: expected another family than that of --embedder {embedder}, got {families[0]} "
            "twice; a front that was found against one network is checked against one of another lineage"
        )


def check_files(folder: Path, *, embedder: str, held_out: str, teacher: str, embedder_input: str = "") -> None:
    """Check that the files of a choice of networks and the detector's are in a folder of models.

    Raises:
        ValueError: if one is missing; the sentence says how to get it.
    """
    for name in (DETECTOR_NAME, embedder, held_out, teacher):
        if name in ZOO and not is_pulled(folder, name):
            how = f"python -m orchestrator.models pull {name} gets it" if ZOO[name].urls else ZOO[name].source
            raise ValueError(f"--models: expected {folder / ZOO[name].path}, which is missing; {how}")


def networks_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the choice of networks that led to the facts of `load_nets`, for loading the same ones again.

    Args:
        facts: about real networks, as tables keep them.
    """
    chosen = {role: facts[role].get("path", facts[role]["name"]) for role in ("embedder", "held_out", "teacher")}
    fed = facts["embedder"].get("input", {})
    return {**chosen, "embedder_input": ",".join(f"{key}={value}" for key, value in fed.items())}


def is_pulled(folder: Path, name: str) -> bool:
    """Tell whether a network of the zoo is in a folder of models."""
    return (folder / ZOO[name].path).is_file()

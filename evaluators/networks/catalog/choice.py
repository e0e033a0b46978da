"""The choice of networks: which are the default, and whether a choice can serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS, convention_of
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.catalog.pulling import cache_folder
from evaluators.options import check_values, option

BACKBONES = ("lpips_alex_jax", "lpips_alex", "lpips_squeeze", "lpips_vgg")
"""LPIPS' backbones; the first that was pulled is measured with."""


INCEPTION = "fid_inception"


BLENDSHAPES, LANDMARKER = "blendshapes", "face_landmarker"
"""The continuous judge, and the network of the zoo that it is read from."""
TELLERS = ("facex", "mini_xception", "faceapi")
"""Teachers with exactly the classes of EXPRESSIONS, in whatever order, which may tell methods the expression."""


DETECTORS = ("scrfd_2.5g", "centerface")


PREFERRED: dict[str, tuple[str, ...]] = {
    "embedder": (
        "edgeface_xs",
        "faceplugin",
        "edgeface_xxs",
        "buffalo_l",
        "antelopev2",
        "buffalo_s",
        "buffalo_sc",
        "mobilefacenet_192",
    ),
    "held_out": ("mobilefacenet_192", "edgeface_xs", "faceplugin", "edgeface_xxs", "buffalo_l", "buffalo_sc"),
    "teacher": (
        "facex",
        "faceapi",
        "mini_xception",
        "enet_b2_8",
        "enet_b0_8_best_vgaf",
        "enet_b0_8_best_afew",
        "ferplus",
    ),
    "detector": DETECTORS,
}
"""By role: which network serves where nobody named one, the first that is in the folder of models."""


RUNTIMES = ("auto", "onnx", "torch")
"""What runs the real networks; auto is the faster on the panel's machine."""
PRECISIONS = ("float32", "float16", "bfloat16")


AN_ONNX_FILE = "the path of an ONNX file"


def is_path(name: str) -> bool:
    """Tell the path of an ONNX file from a name of the zoo."""
    return name.endswith(".onnx")


@dataclass(frozen=True)
class Networks:
    """Choose the real networks of a panel, and how they run."""

    models: Path | None = option(
        None, "Folder of real networks, for --data.", shown="where orchestrator.models pulls to"
    )
    embedder: str = option(
        "",
        f"Network of the attackers: {', '.join(EMBEDDERS)}, or the path of an ArcFace-style ONNX file.",
        known=tuple(EMBEDDERS),
        unless=is_path,
        otherwise=AN_ONNX_FILE,
        shown=f"the first that is there of {', '.join(PREFERRED['embedder'])}",
        section="Networks",
    )
    embedder_input: str = option(
        "",
        "How the embedder at a path is fed, where it is not size=112,layout=nchw,color=rgb,mean=127.5,scale=127.5: the "
        "parts that differ.",
        section="Networks",
    )
    held_out: str | None = option(
        None,
        f"Network of the attacker held_out, of another family: {', '.join(EMBEDDERS)}, or the path of an ONNX file. A "
        "search without him notes it for orchestrator.verify.",
        known=tuple(EMBEDDERS),
        unless=is_path,
        otherwise=AN_ONNX_FILE,
        shown=f"the first of another family of {', '.join(PREFERRED['held_out'])}, where he is asked for",
        section="Networks",
    )
    teacher: str = option(
        "",
        f"Network that reads the expression: {', '.join(TEACHERS)}.",
        known=tuple(TEACHERS),
        shown="the first that is there, in this order",
        section="Networks",
    )
    detector: str = option(
        "",
        f"Network that finds faces: {', '.join(DETECTORS)}.",
        known=DETECTORS,
        shown="the first that is there",
        section="Networks",
    )
    judges: tuple[str, ...] = option(
        (),
        f"Judges of the expression, whom no method is told by: {', '.join((*TEACHERS, 'blendshapes'))}.",
        flag="--judge",
        known=(*TEACHERS, "blendshapes"),
        shown="all that are there",
        section="Networks",
    )
    teller: str | None = option(
        None,
        f"Network that tells methods the expression: {', '.join(TELLERS)}.",
        known=TELLERS,
        shown="the first that is there",
        section="Networks",
    )
    backend_nets: str = option(
        "auto",
        "What runs the real networks: onnx, torch, or auto, the faster on the panel's machine.",
        known=RUNTIMES,
        section="Networks",
    )
    precision: str = option(
        "float32", f"Of PyTorch's networks: {', '.join(PRECISIONS)}.", known=PRECISIONS, section="Networks"
    )
    second_embedder: str | None = option(
        None,
        f"Second network of the attackers retrained and undone, of another family: {', '.join(EMBEDDERS)}. They add "
        "what both networks say; it takes two more looks at probes and gallery, four with undone.",
        known=tuple(EMBEDDERS),
        shown="none",
        section="Networks",
    )

    @property
    def judging(self) -> tuple[str, ...]:
        """Return the names of the judges: those that were chosen, else those that are there."""
        if self.judges:
            return self.judges
        here = [name for name in TEACHERS if is_pulled(self.folder, name)]
        return (*here, BLENDSHAPES) if is_pulled(self.folder, LANDMARKER) else tuple(here)

    @property
    def telling(self) -> str:
        """Return the name of the network that tells methods the expression; "" where none is there."""
        return self.teller or next((name for name in TELLERS if is_pulled(self.folder, name)), "")

    @property
    def folder(self) -> Path:
        """Return the folder of models.

        Raises:
            ValueError: if none was given.
        """
        if self.models is None:
            raise ValueError("--models: expected a folder of real networks, got none; give one")
        return self.models

    def settled(self, *, held_out: bool = False) -> Networks:
        """Return the choice with every role filled: where nobody was named, by the first of PREFERRED that is there.

        Where none is there either, it is the first of all, which a check of the files then misses.

        Args:
            held_out: whether there is to be a held-out embedder, of another family than the other one.
        """
        chosen = self
        for role in ("embedder", "teacher", "detector", *(["held_out"] if held_out else [])):
            if not getattr(chosen, role):
                names = PREFERRED[role]
                if role == "held_out":
                    used = {ZOO[name].family for name in (chosen.embedder, chosen.second_embedder) if name in ZOO}
                    names = tuple(name for name in names if ZOO[name].family not in used)
                here = (name for name in names if self.models is not None and is_pulled(self.models, name))
                served: dict[str, Any] = {role: next(here, names[0])}
                chosen = replace(chosen, **served)
        return chosen

    def missed(self) -> dict[str, str]:
        """Say in which roles nobody was named and the most preferred network is not there: role -> that one."""
        return {
            role: names[0]
            for role, names in PREFERRED.items()
            if not getattr(self, role) and not is_pulled(self.folder, names[0])
        }

    def anywhere(self) -> Networks:
        """Return the same choice for a process that has another working folder: paths are absolute."""
        embedder, held_out = (
            str(Path(name).resolve()) if name and is_path(name) else name for name in (self.embedder, self.held_out)
        )
        assert embedder is not None
        return replace(self, models=self.folder.resolve(), embedder=embedder, held_out=held_out)


def check_networks(networks: Networks) -> None:
    """Check a choice of networks before anything is loaded.

    Raises:
        ValueError: if a name is not known, a path leads nowhere, the held-out embedder is of the family of the one that
            is searched with, or a precision is asked of ONNX Runtime. The sentence names the option.
    """
    check_values(networks)
    networks = networks.settled()
    embedder, held_out, embedder_input = networks.embedder, networks.held_out, networks.embedder_input
    if networks.precision != "float32" and networks.backend_nets != "torch":
        raise ValueError(
            f"--precision {networks.precision}: only PyTorch's networks run in it, and two back ends in two precisions "
            "would not give the same numbers; give --backend-nets torch too"
        )
    if embedder_input and not is_path(embedder):
        raise ValueError(f"--embedder-input: expected --embedder to be the path of an ONNX file, got {embedder!r}")
    if is_path(embedder):
        convention_of("--embedder", Path(embedder), embedder_input)
    if networks.judges and set(networks.judges) == {networks.telling}:
        raise ValueError(
            f"--judge {networks.telling}: expected a judge who does not tell the methods what to show, got the teller "
            "alone; name another judge too, or another --teller"
        )
    if networks.second_embedder is not None:
        _check_second(networks, networks.second_embedder)
    if held_out is None:
        return
    if is_path(held_out):
        convention_of("--held-out", Path(held_out))
    families = [str(Path(name).resolve()) if is_path(name) else ZOO[name].family for name in (embedder, held_out)]
    if families[0] == families[1]:
        raise ValueError(
            f"--held-out {held_out}: expected another family than that of --embedder {embedder}, got {families[0]} "
            "twice; a front that was found against one network is checked against another lineage; choose one of "
            + ", ".join(name for name in EMBEDDERS if ZOO[name].family != families[0])
        )


def _check_second(networks: Networks, second: str) -> None:
    """Check that a second embedder is of another family than the first, and that no verification is to be by it."""
    first, held_out = networks.embedder, networks.held_out
    if first in ZOO and ZOO[first].family == ZOO[second].family:
        raise ValueError(
            f"--second-embedder {second}: expected another family than that of --embedder {first}, got "
            f"{ZOO[second].family} twice; two of one lineage say the same; choose one of "
            + ", ".join(name for name in EMBEDDERS if ZOO[name].family != ZOO[first].family)
        )
    if held_out in ZOO and ZOO[held_out].family == ZOO[second].family:
        raise ValueError(
            f"--second-embedder {second}: expected another family than that of --held-out {held_out}, which verifies "
            f"what is found without it, got {ZOO[second].family} twice; name another --held-out"
        )


def check_files(networks: Networks) -> None:
    """Check that the files of a choice of networks and the detector's are in its folder of models.

    Raises:
        ValueError: if one is missing; the sentence says how to get it.
    """
    folder, networks = networks.folder, networks.settled()
    wanted = [("--detector", networks.detector), ("--embedder", networks.embedder), ("--teacher", networks.teacher)]
    wanted += [("--held-out", networks.held_out)] if networks.held_out else []
    wanted += [("--second-embedder", networks.second_embedder)] if networks.second_embedder else []
    wanted += [("--judge", LANDMARKER if name == BLENDSHAPES else name) for name in networks.judges]
    for flag, name in wanted:
        if name in ZOO and not is_pulled(folder, name):
            raise ValueError(
                f"{flag}: expected {name} as {folder / ZOO[name].path}, which is missing; {how_to_get(name, folder)}"
            )


def how_to_get(name: str, folder: Path) -> str:
    """Say how a network of the zoo comes into a folder of models."""
    if not ZOO[name].pullable:
        return ZOO[name].source
    try:
        where = "" if folder == cache_folder() else f" --models {folder}"
    except ValueError:  # there is no default without a home folder
        where = f" --models {folder}"
    whole = ", pull without a name a whole set" if name in [names[0] for names in PREFERRED.values()] else ""
    return f"python -m orchestrator.models pull {name}{where} gets it{whole}"


def networks_of(facts: Mapping[str, Any], backends: Mapping[str, Any], models: Path) -> Networks:
    """Return the choice of networks that led to the facts of `load_nets`, for loading the same ones again.

    Args:
        facts: about real networks, as tables keep them.
        backends: which back end served each, as tables keep them.
        models: folder of real networks.
    """
    detectors = {Path(ZOO[name].path).stem: name for name in DETECTORS}
    served = {str(backends[role]["backend"]) for role in ("embedder", "teacher")}
    fed = facts["embedder"].get("input", {})
    return Networks(
        models=models,
        **{
            role: facts[role].get("path", facts[role]["name"])
            for role in ("embedder", "held_out", "second_embedder", "teacher")
            if role in facts
        },
        embedder_input=",".join(f"{key}={value}" for key, value in fed.items()),
        backend_nets=served.pop() if len(served) == 1 else "auto",
        precision=facts["embedder"].get("precision", "float32"),
        teller=facts["expression"]["name"] if "expression" in facts else None,
        detector=detectors.get(facts.get("detector", {}).get("name", ""), ""),
    )


def is_pulled(folder: Path, name: str) -> bool:
    """Tell whether a network of the zoo is in a folder of models."""
    return (folder / ZOO[name].path).is_file()

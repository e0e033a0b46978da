"""Pictures of a study: the faces of a sweep again, and what its configurations release of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from evaluators.attackers.evidence import Evidence, clear_faces
from evaluators.datasets.protocol import Protocol
from evaluators.datasets.publishing import publishing
from evaluators.networks.catalog.choice import Networks, check_networks, networks_of
from orchestrator.records.trials import Row, anonymizer_of
from orchestrator.search.checks import real_networks
from orchestrator.search.faces import FaceChoice, load_protocol
from orchestrator.search.make_panel import MakePanel, needs_gradients

MOST_PX = 160
"""Side of a picture on the page at most; a larger crop is made smaller, so that a page can be sent by mail."""
BATCH = 128


class Studio:
    """Hold the faces and networks of a sweep, as its panels held them, without the attackers."""

    def __init__(
        self,
        sweep: Mapping[str, Any],
        rows: Sequence[Row],
        faces: FaceChoice,
        networks: Networks,
        device: str,
        console: Console,
    ) -> None:
        """Load the faces and networks of a sweep again.

        Args:
            sweep: facts about it.
            rows: configurations whose pictures are wanted.
            faces: its faces; how they are split is the sweep's.
            networks: their folder; which they are is the sweep's choice.
            device: where they work.
            console: is told how far it is.

        Raises:
            ValueError: if the faces are not the sweep's, or a network is missing.
        """
        searched = sweep["protocol"]
        if (searched["name"] == "demo") != (faces.data is None):
            raise ValueError(
                f"--data: the search was on {searched['name']}; "
                + ("leave --data out" if faces.data else "give its faces and --models")
            )
        chosen = real_networks(faces, networks)
        if chosen is not None:
            before = networks_of(sweep["models"], sweep["panel"]["backends"], chosen.folder)
            chosen = replace(before, held_out=None)
            check_networks(chosen)
        protocol = load_protocol(as_searched(sweep, faces), chosen, console)
        if protocol.digest != searched["digest"]:
            raise ValueError(
                f"--data: expected the faces of the search, {searched['n_people']} people with the digest "
                f"{searched['digest'][:12]}…, got {protocol.enrolled.numel()} with {protocol.digest[:12]}…; give the "
                "folder that the search had"
            )
        make = MakePanel(
            protocol,
            chosen,
            tuple(sweep["objectives"]),
            device=device,
            differentiable=needs_gradients((), {row["method"] for row in rows}),
            signals=tuple(dict.fromkeys(name for row in rows for name in anonymizer_of(row).needed())),
        )
        there, self.nets = make.networks_there()
        self.protocol: Protocol = protocol
        self.clear = clear_faces(protocol, self.nets, torch.device(there))
        self.publish = publishing(sweep.get("publish", "png"))

    def truth(self) -> tuple[list[str | None], tuple[str, ...], str]:
        """Return the expression of each probe, the names it is one of, and whose word it is; see `truth_of`."""
        teacher = self.nets.teacher
        words = self.clear.probe_reading.logits.argmax(1).tolist()
        labels = self.protocol.probe.expression.tolist()
        return truth_of(labels, self.protocol.expressions, words, teacher.classes, self.nets.facts["teacher"]["name"])

    def released(self, row: Row, probes: Sequence[int]) -> NDArray[np.uint8]:
        """Return what a configuration releases of probes, as it is published.

        All probes are anonymized, as in the sweep, since a method may work on the set.

        Returns:
            (len(probes), H, W, 3) uint8, RGB in [0, 255].
        """
        with torch.no_grad():
            evidence = Evidence(
                anonymizer_of(row),
                self.clear,
                self.nets,
                seed=self.protocol.seed,
                batch_size=BATCH,
                publish=self.publish,
            )
            return _shown(evidence.probe[list(probes)])

    def gallery(self, places: Sequence[int]) -> NDArray[np.uint8]:
        """Return clear pictures of the gallery, likewise."""
        return _shown(self.clear.gallery.images[list(places)])


def truth_of(
    labels: Sequence[int], names: Sequence[str] | None, words: Sequence[int], classes: Sequence[str], teacher: str
) -> tuple[list[str | None], tuple[str, ...], str]:
    """Say what expression faces show: the label where there are any, else the teacher's word on the clear face.

    The two are not mixed: where some faces have labels, the others are not asked about.

    Args:
        labels: (N,) places in `names`, -1 for a face without one.
        names: of the labels; None where nobody labelled.
        words: (N,) places in `classes`: the teacher's top-1 on the clear faces.
        classes: of the teacher.
        teacher: name.

    Returns:
        N names, None for a face that is not asked about; what they are some of; and whose word it is.
    """
    if names and any(label >= 0 for label in labels):
        return [names[label] if label >= 0 else None for label in labels], tuple(names), "labels"
    return [classes[word] for word in words], tuple(classes), f"teacher {teacher}"


def as_searched(sweep: Mapping[str, Any], faces: FaceChoice) -> FaceChoice:
    """Return the choice of faces with the split of a sweep."""
    options = sweep["options"]
    split = {
        name: options[flag]
        for name, flag in (
            ("min_pictures", "--min-pictures"),
            ("max_pictures", "--max-pictures"),
            ("attacker_faces", "--attacker-faces"),
            ("depth", "--depth"),
        )
        if options.get(flag) is not None
    }
    return replace(faces, seed=sweep["seed"], **split)


def _shown(pictures: torch.Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = pictures.permute(0, 2, 3, 1).cpu().numpy()
    return array


def picture_uri(picture: NDArray[np.uint8]) -> str:
    """Encode an (H, W, 3) uint8 picture, at most MOST_PX large, as a data URI that loses nothing."""
    drawn = Image.fromarray(picture)
    if max(drawn.size) > MOST_PX:
        drawn.thumbnail((MOST_PX, MOST_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    drawn.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def consent_text(path: Path) -> str:
    """Read the text that participants agree to.

    Raises:
        ValueError: if it is not there, no text in UTF-8, or empty.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"--consent: expected a text, {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"--consent: expected a text in UTF-8, {path} is none; save it as one") from None
    if not text:
        raise ValueError(f"--consent: expected a text, {path} is empty; write what participants agree to")
    return text

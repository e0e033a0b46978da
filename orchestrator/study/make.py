"""Make a study: choose configurations and faces, release their pictures, write the page and its key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from evaluators.networks.catalog.choice import Networks
from orchestrator.cluster.code import measuring_digest
from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.files import LEDGER, check_results, check_writable
from orchestrator.records.ledger import read
from orchestrator.records.trials import Row, trial_rows
from orchestrator.search.faces import FaceChoice
from orchestrator.study.design import chosen_rows, configurations_of, designed, drawn_subjects, even_count
from orchestrator.study.key import KEY, PAGE, made_key, write_key
from orchestrator.study.options import FOLDER, Asked
from orchestrator.study.page import write_page
from orchestrator.study.pictures import Studio, consent_text, picture_uri

MIB = 1 << 20


def make(
    results: Path, asked: Asked, faces: FaceChoice, networks: Networks, device: str, console: Console
) -> tuple[Path, dict[str, Any]]:
    """Make a study of a sweep.

    Returns:
        The page, and the key.

    Raises:
        ValueError: if the input is bad.
    """
    check_results(results, LEDGER)
    folder = asked.out or results / FOLDER
    if (folder / KEY).exists() and not asked.overwrite:
        raise ValueError(
            f"--out: expected no study in {folder}, found one; its answers can only be read with its {KEY}; take "
            "another folder, or --overwrite"
        )
    consent = None if asked.consent is None else consent_text(asked.consent)
    table = read(results / LEDGER)
    sweep = sweep_of(table)
    rows = chosen_rows(trial_rows(table), sweep["objectives"], asked.trial, asked.configurations)
    even_count(asked.faces, sweep["protocol"]["n_people"], len(rows))  # before anything is loaded
    check_writable(folder, "--out")
    if sweep.get("code") not in (None, measuring_digest()):
        console.print(
            f"{results}: was measured by another version of the program; its pictures may have been others",
            markup=False,
            soft_wrap=True,
        )
    console.print("loading the faces and networks of the search", markup=False)
    studio = Studio(sweep, rows, faces, networks, device, console)
    truth, classes, by = studio.truth()
    clear = studio.clear
    people = {person for person, named in zip(clear.probe_person.tolist(), truth, strict=True) if named is not None}
    count = even_count(asked.faces, len(people), len(rows))
    subjects = drawn_subjects(truth, clear.probe_person.tolist(), clear.gallery_person.tolist(), count, asked.draw)
    if count < asked.faces:
        console.print(f"{count} faces: twice {len(rows)} configurations go into {asked.faces} or the people there are")
    items, groups = designed(subjects, rows, asked.draw)
    pictures = _pictures(studio, rows, [subject.probe for subject in subjects], console)
    shown: dict[str, list[str]] = {}
    for name, item in items.items():
        shown[name] = [pictures[item["trial"]][item["subject"]]]
        item["face"] = clear.probe.key[subjects[item.pop("subject")].probe]
    places = sorted({item["gallery"] for item in items.values() if "gallery" in item})
    beside = dict(zip(places, map(picture_uri, studio.gallery(places)), strict=True))
    for name, item in items.items():
        if "gallery" in item:
            shown[name].append(beside[item["gallery"]])
            item["gallery"] = clear.gallery.key[item["gallery"]]
    key = made_key(
        {
            "sweep": sweep["name"],
            "protocol": sweep["protocol"]["digest"],
            "truth_by": by,
            "classes": list(classes),
            "consent": None if consent is None else hashlib.sha256(consent.encode()).hexdigest(),
            "configurations": configurations_of(rows),
            "items": items,
            "groups": groups,
        }
    )
    page = folder / PAGE
    write_page(page, key, shown, consent)
    write_key(key, folder)
    return page, key


def _pictures(studio: Studio, rows: Sequence[Row], probes: Sequence[int], console: Console) -> dict[int, list[str]]:
    """Release the probes under every configuration: trial -> data URIs."""
    made = {}
    for done, row in enumerate(rows, 1):
        made[row["trial"]] = [picture_uri(picture) for picture in studio.released(row, probes)]
        console.print(f"pictures: {done} of {len(rows)} configurations", markup=False)
    return made


def said(page: Path, key: dict[str, Any]) -> list[str]:
    """Say what was made, and what to do with it."""
    groups = len(key["groups"])
    questions = sum(map(len, key["groups"][0].values()))
    by = "its label" if key["truth_by"] == "labels" else f"the word of {key['truth_by']} on the clear face"
    lines = [
        f"{page}: {page.stat().st_size / MIB:.1f} MiB, {questions} questions to each participant about "
        f"{len(key['configurations'])} configurations; the true expression of a face is {by}.",
        f"Give it to participants with numbers of their own, 1, 2, 3, …: of {groups} or a multiple every face is seen "
        "under every configuration equally often; agreement between people wants several times so many.",
        "It asks nothing of any network; each participant saves a file of answers. Keep "
        f"{page.with_name(KEY)}, which says what would have been right, to yourself.",
    ]
    if key["consent"] is None:
        lines.append("It has no text of consent: --consent FILE puts in the one that your ethics board wants.")
    return lines

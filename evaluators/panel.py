"""Panel: attackers, readers and perceptual nets, resident on one device; turns a configuration into scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonymizers import ANONYMIZERS, Anonymizer, Faces
from anonymizers.base import with_signals
from anonymizers.conditioning import five
from evaluators import expression, pairs, realism, redetected, statistics
from evaluators.attackers import ADAPTIVE, ATTACKERS, SEARCHING, Clear, Evidence
from evaluators.classes import counterparts
from evaluators.curves import Curves, curves_of
from evaluators.distribution import frechet, kid
from evaluators.identity import permuted_rank1, rank_credit
from evaluators.memory import device_bytes, halve_batches, halved, held_bytes, with_smaller_batches
from evaluators.metrics import METRICS
from evaluators.nets import Found, Nets, Perceptual
from evaluators.protocol import Protocol
from evaluators.reader import fit
from evaluators.scores import Scores
from evaluators.signals import with_measured
from evaluators.tally import Tally

REPLICATES = 2_000
KEPT_BYTES = 4 * 2**30
"""Most that a perceptual net's features of the originals may take; beyond, they are computed anew, in streams."""
STREAMED = 256


class CannotLearnError(RuntimeError):
    """Say that an adaptive attacker or the adapted reader fails on clear faces: its rates would be no privacy."""


class Panel:
    """Keep the networks, the faces, and everything about the clear faces that never changes."""

    def __init__(
        self,
        protocol: Protocol,
        nets: Nets,
        *,
        objectives: Sequence[str] = ("rank1_worst", "expression_kappa_adapted"),
        attackers: Sequence[str] = SEARCHING,
        device: torch.device | str = "cpu",
        batch_size: int = 128,
        keep_curves: bool = False,
    ) -> None:
        """Look at the clear faces once, and let every attacker prove on them that it can learn.

        Args:
            protocol: whose pictures serve what.
            nets: the networks, already on `device`.
            attackers: names in ATTACKERS; `rank1_worst` is the largest rate among them.
            objectives: metrics whose bootstrap replicates each score carries.
            device: where faces and networks live.
            batch_size: pictures an anonymizer works on at a time.
            keep_curves: whether `curves` keeps every attacker's CMC and ROC, by the repr of the configuration.

        Raises:
            CannotLearnError: if an adaptive attacker stays below the fixed attacker's interval on clear faces, or the
                adapted reader's agreement is not above chance there.
        """
        self.protocol = protocol
        self.nets = nets
        self.objectives = tuple(objectives)
        self.attackers = tuple(attackers)
        self.device = torch.device(device)
        self.batch_size = batch_size
        self.clear = _clear(protocol, nets, self.device)
        self.probe_perceptual = {net.name: _kept(net, self.clear.probe.images) for net in nets.perceptual}
        self.probe_ssim = realism.ssim_statistics(self.clear.probe.images)
        self.probe_found = nets.detector(self.clear.probe.images) if nets.detector else None
        self.probe_inception = nets.inception(self.clear.probe.images) if nets.inception else None
        self.draws = statistics.person_draws(self.clear.people, REPLICATES, protocol.seed)
        self.absent = pairs.absent_people(self.clear.people, protocol.seed).to(self.device)
        self.temperature = self._temperature()
        self.notes: list[str] = []
        self.curves: dict[str, dict[str, Curves]] | None = {} if keep_curves else None
        self._cache: dict[str, Scores] = {}
        self.ceiling = self.score(ANONYMIZERS["identity"]())
        self._prove(self.ceiling)

    def score(self, anonymizer: Anonymizer) -> Scores:
        """Measure one configuration; a configuration measured before comes from the cache.

        Raises:
            ValueError: if the anonymizer cannot work on these faces.
        """
        key = repr(anonymizer)
        if key not in self._cache:
            with torch.no_grad():
                self._cache[key] = with_smaller_batches(lambda: self._score(anonymizer), self._halve, self.notes)
        return self._cache[key]

    def released(self, anonymizer: Anonymizer, count: int) -> NDArray[np.uint8]:
        """Return (count, H, W, 3) uint8 RGB: what the method makes of the first probes of different people."""
        first = torch.stack([(self.clear.probe_person == p).nonzero()[0, 0] for p in range(self.clear.people)])
        pictures = self._evidence(anonymizer).probe[first[:count]]
        return pictures.permute(0, 2, 3, 1).cpu().numpy()

    def describe(self) -> dict[str, Any]:
        """Return the facts that go into tables and report: networks, device, the teacher's calibration, ceilings."""
        facts: dict[str, Any] = {
            "models": dict(self.nets.facts),
            "device": str(self.device) if self.device.type == "cpu" else torch.cuda.get_device_name(self.device),
            "threads": torch.get_num_threads(),
            "backends": dict(self.nets.backends),
            "teacher_temperature": self.temperature,
            "rank1_clear": {name: self.ceiling[f"rank1_{name}"] for name in self.attackers},
            "expression_kappa_adapted_clear": self.ceiling["expression_kappa_adapted"],
            "n_attacker_faces": len(self.protocol.attacker),
            "held_bytes": held_bytes(self.device),
            "device_bytes": device_bytes(self.device),
        }
        if self.protocol.expressions is not None:
            label = _labels(self.protocol.probe, self.protocol.expressions, self.nets.teacher.classes)
            known = label >= 0
            facts["n_teacher_labels"] = int(known.sum())  # probes whose label the teacher has a class for
            facts["labels_without_class"] = list(
                counterparts(self.protocol.expressions, self.nets.teacher.classes).without
            )
            if known.any():
                logits = self.clear.probe_reading.logits.cpu()[known]
                facts["teacher_accuracy"] = float((logits.argmax(1) == label[known]).double().mean())
                facts["teacher_ece"] = expression.ece((logits / self.temperature).softmax(1), label[known])
        return facts

    def _halve(self) -> str | None:
        """Halve every batch; say what the anonymizer's is now, or None if none could be smaller."""
        nets = (self.nets.embedder, self.nets.teacher, self.nets.detector, *self.nets.perceptual)
        before, self.batch_size = self.batch_size, halved(self.batch_size)
        smaller = halve_batches(nets) or self.batch_size < before
        return f"{self.batch_size} pictures for the anonymizer" if smaller else None

    def _evidence(self, anonymizer: Anonymizer) -> Evidence:
        return Evidence(anonymizer, self.clear, self.nets, seed=self.protocol.seed, batch_size=self.batch_size)

    def _score(self, anonymizer: Anonymizer) -> Scores:
        start = time.perf_counter()
        evidence = self._evidence(anonymizer)
        tally = Tally(self.clear.probe_person.cpu(), self.draws, self.objectives)
        self._attack(evidence, tally)
        self._read(evidence, tally)
        self._look(evidence, tally)
        redetected.measure(evidence, self.attackers, tally)
        return Scores(
            values={name: tally.values.get(name) for name in METRICS},
            intervals=tally.intervals,
            replicates=tally.replicates,
            n_probe=len(self.clear.probe),
            n_people=self.clear.people,
            n_gallery=len(self.clear.gallery),
            n_attacker=len(self.clear.attacker),
            chance_rank1=1 / self.clear.people,
            seconds=time.perf_counter() - start,
        )

    def _attack(self, evidence: Evidence, tally: Tally) -> None:
        """Let every attacker name the probes; the strongest is what counts."""
        person = self.clear.probe_person
        scores = {name: ATTACKERS[name](evidence) for name in self.attackers}
        if self.curves is not None:
            self.curves[repr(evidence.anonymizer)] = {name: curves_of(m, person) for name, m in scores.items()}
        credits: dict[str, Tensor] = {}
        for name, matrix in scores.items():
            credits[name] = rank_credit(matrix, person, 1).cpu()
            tally.rate(f"rank1_{name}", credits[name])
            for k in (5, 10):
                tally.rate(f"rank{k}_{name}", rank_credit(matrix, person, k).cpu())
        tally.values.update(pairs.strongest(scores, person, self.absent))
        tally.values["linkability_auc"] = pairs.auc(*pairs.within_pairs(evidence.probe_embedding, person))
        replicates = tally.largest("rank1_worst", {f"rank1_{name}": credit for name, credit in credits.items()})
        worst = tally.values["rank1_worst"]
        assert worst is not None
        chance = permuted_rank1(list(scores.values()), person, self.protocol.seed)
        tally.values["chance_rank1_measured"] = chance
        low, high = tally.intervals["rank1_worst"]
        tally.put(
            "advantage",
            (worst - chance) / (1 - chance),
            ((low - chance) / (1 - chance), (high - chance) / (1 - chance)),
            (replicates - chance) / (1 - chance),
        )
        cosine = (self.clear.probe_embedding * evidence.probe_embedding).sum(1)
        tally.mean("hifd_privacy", 0.5 * (1 - cosine))

    def _read(self, evidence: Evidence, tally: Tally) -> None:
        """Ask the teacher, unprepared and adapted, for the expression."""
        clear = self.clear
        reference, answered = clear.probe_reading, evidence.probe_reading
        truth, answer = reference.logits.argmax(1), answered.logits.argmax(1)
        classes = len(self.nets.teacher.classes)
        tally.kappa("expression_kappa", truth, answer, classes)
        head = fit(evidence.attacker_reading.features, clear.attacker_answer, classes)
        tally.kappa("expression_kappa_adapted", truth, head(answered.features).argmax(1), classes)
        tally.rate("expression_agreement", (truth == answer).double().cpu())
        tally.put(
            "expression_agreement_chance",
            float(expression.chance_agreement(tally.confusion(truth, answer, classes).sum(0))),
        )
        p = (reference.logits / self.temperature).softmax(1)
        q = (answered.logits / self.temperature).softmax(1)
        tally.mean("expression_kl", expression.kl(p, q))
        tally.mean("expression_js", expression.js(p, q))
        tally.mean("expression_similarity", expression.similarity(reference.features, answered.features))
        if self.protocol.expressions is not None:
            label = _labels(self.protocol.probe, self.protocol.expressions, self.nets.teacher.classes).to(self.device)
            known = label >= 0
            if not known.any():
                return
            tally.values["expression_accuracy"] = float((answer == label)[known].double().mean())
            tally.values["expression_macro_f1"] = float(
                expression.macro_f1(tally.confusion(label[known], answer[known], classes, known).sum(0))
            )

    def _look(self, evidence: Evidence, tally: Tally) -> None:
        """Compare the pictures themselves."""
        for net in self.nets.perceptual:
            kept = self.probe_perceptual[net.name]
            if kept is not None:
                tally.mean(net.name, net.distance_to(kept, evidence.probe))
            else:
                pairs_of = zip(self.clear.probe.images.split(STREAMED), evidence.probe.split(STREAMED), strict=True)
                tally.mean(net.name, torch.cat([net.distance_to(net.features(a), b) for a, b in pairs_of]))
        tally.mean("ssim", realism.ssim(evidence.probe, self.probe_ssim))
        error = realism.mse(self.clear.probe.images, evidence.probe)
        tally.mean("mse", error)
        tally.values["psnr"] = realism.psnr(float(error.mean()))
        self._signals(evidence, tally)
        scales = realism.ms_ssim(evidence.probe, self.clear.probe.images)
        if scales is not None:
            tally.mean("ms_ssim", scales)
        tally.values["frechet_embedding"] = frechet(self.clear.probe_embedding, evidence.probe_embedding)
        if self.nets.inception is not None and self.probe_inception is not None:
            released = self.nets.inception(evidence.probe)
            tally.values["fid"] = frechet(self.probe_inception, released)
            tally.values["kid"] = kid(self.probe_inception, released)
        if (found := evidence.probe_found) is not None and self.probe_found is not None:
            tally.rate("detection_rate", found.found.double().cpu())
            tally.values["landmark_nme"] = realism.landmark_nme(self.probe_found, found)

    def _signals(self, evidence: Evidence, tally: Tally) -> None:
        """Say how good the signals are that the method was conditioned on, where it was on any."""
        needed, probe = evidence.anonymizer.needed(), self.clear.probe
        if not needed:
            return
        tally.rate("signal_share", with_signals(probe, needed, evidence.anonymizer.method).double())
        if "landmarks68" in needed and self.probe_found is not None:
            points = five(probe.signals["landmarks68"].cpu()) * probe.scale
            seen = Found(points.isfinite().flatten(1).all(1), points.nan_to_num())
            tally.values["signal_nme"] = realism.landmark_nme(self.probe_found, seen)

    def _temperature(self) -> float:
        """Fit the teacher's temperature on labelled clear faces of the attacker people; 1 where there are none."""
        if self.protocol.expressions is None:
            return 1.0
        label = _labels(self.protocol.attacker, self.protocol.expressions, self.nets.teacher.classes)
        known = label >= 0
        if not known.any():
            return 1.0
        with torch.no_grad():
            logits = self.nets.teacher(self.protocol.attacker.images.to(self.device)[known.to(self.device)]).logits
        return expression.fit_temperature(logits.cpu(), label[known])

    def _prove(self, clear: Scores) -> None:
        """Refuse attackers and readers that do not learn even from clear faces."""
        floor = clear.intervals["rank1_fixed"][0]
        for name in (name for name in self.attackers if name in ADAPTIVE):
            if clear[f"rank1_{name}"] < floor:
                raise CannotLearnError(
                    f"attacker {name}: expected rank-1 of at least {floor:.3f} on clear faces (the fixed attacker's "
                    f"lower bound), got {clear[f'rank1_{name}']:.3f}; it cannot learn from "
                    f"{len(self.protocol.gallery)} gallery pictures of {self.clear.people} people, so its rates would "
                    "be no privacy. Give more pictures per person"
                )
        if clear.intervals["expression_kappa_adapted"][0] <= 0:
            raise CannotLearnError(
                "the adapted reader: expected a kappa above 0 on clear faces, got "
                f"{clear['expression_kappa_adapted']:.3f}; give more faces of attacker people "
                f"(here {len(self.protocol.attacker)}) or another teacher"
            )


def _kept(net: Perceptual, images: Tensor) -> tuple[Tensor, ...] | None:
    """Return a net's features of the originals, or None if they would take too much memory."""
    each = sum(stage.nbytes for stage in net.features(images[:1]))
    return net.features(images) if each * len(images) <= KEPT_BYTES else None


def _labels(faces: Faces, names: Sequence[str], classes: Sequence[str]) -> Tensor:
    """Map (N,) labels to the teacher's classes, by name, never by position; -1 where unlabelled or without a class.

    Raises:
        ValueError: if the teacher has a class for none of the labels.
    """
    found = counterparts(names, classes)
    if len(found.without) == len(names):
        raise ValueError(
            f"labels: expected some of the teacher's classes {list(classes)}, got {list(names)}; choose another teacher"
        )
    table = torch.tensor([*found.index, -1])
    return table[faces.expression.cpu()]


@torch.no_grad()
def _clear(protocol: Protocol, nets: Nets, device: torch.device) -> Clear:
    """Compute once what never changes about the clear faces."""

    def resident(faces: Faces) -> tuple[Faces, Tensor]:
        faces = with_measured(faces.to(device), nets.signals)
        answer = nets.teacher(faces.images).logits.argmax(1)
        return replace(faces, expression=answer), answer

    probe = with_measured(protocol.probe.to(device), nets.signals)
    reading = nets.teacher(probe.images)
    gallery, _ = resident(protocol.gallery)
    attacker, attacker_answer = resident(protocol.attacker)
    return Clear(
        probe=replace(probe, expression=reading.logits.argmax(1)),
        gallery=gallery,
        attacker=attacker,
        background=protocol.background.to(device),
        probe_person=protocol.person(protocol.probe).to(device),
        gallery_person=protocol.person(protocol.gallery).to(device),
        people=int(protocol.enrolled.numel()),
        probe_embedding=nets.embedder(probe.images),
        gallery_embedding=nets.embedder(gallery.images),
        probe_reading=reading,
        attacker_embedding=nets.embedder(attacker.images),
        attacker_answer=attacker_answer,
    )

"""Panel: attackers, readers and perceptual nets, resident on one device; turns a configuration into scores."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonymizers import ANONYMIZERS, Anonymizer
from evaluators import readers
from evaluators.attackers import ADAPTIVE, SEARCHING
from evaluators.attackers.evidence import Evidence, clear_faces
from evaluators.attackers.learning.family import unpacked
from evaluators.datasets.protocol import Protocol
from evaluators.datasets.publishing import publishing
from evaluators.measuring import agreement, expression, identification, judging, labelled, realism, redetected
from evaluators.measuring.by_person import KAPPA, R2, Population
from evaluators.measuring.stages import PICTURES, READERS, plan_of
from evaluators.measuring.tally import Tally
from evaluators.metrics import METRICS, pairs, statistics
from evaluators.metrics.curves import Curves
from evaluators.metrics.expression import ece
from evaluators.metrics.scores import People, Scores
from evaluators.networks.backends.memory import device_bytes, halve_batches, halved, held_bytes, with_smaller_batches
from evaluators.networks.catalog.classes import counterparts
from evaluators.networks.roles import Nets, Teacher

REPLICATES = 2_000


class CannotLearnError(RuntimeError):
    """Say that an adaptive attacker or the adapted reader fails on clear faces: its rates would be no privacy."""


class Panel:
    """Keep the networks, the faces, and everything about the clear faces that never changes."""

    def __init__(
        self,
        protocol: Protocol,
        nets: Nets,
        *,
        objectives: Sequence[str] = ("rank1_worst", "expression_kept"),
        attackers: Sequence[str] = SEARCHING,
        device: torch.device | str = "cpu",
        batch_size: int = 128,
        keep_curves: bool = False,
        publish: str = "png",
        families: Mapping[str, bytes] | None = None,
    ) -> None:
        """Look at the clear faces once, and let every attacker prove on them that it can learn.

        Args:
            protocol: whose pictures serve what.
            nets: the networks, already on `device`.
            attackers: names in ATTACKERS; `rank1_worst` is the largest rate among them.
            objectives: metrics whose bootstrap replicates each score carries.
            device: where faces and networks live.
            batch_size: pictures an anonymizer works on at a time.
            publish: what is done to released pictures before anybody sees them, see `publishing`.
            families: what was learned of methods before, packed, by method; see `attackers.families`.
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
        self.publish = publishing(publish)
        gradients = nets.differentiable
        self.families = {
            method: unpacked(packed, gradients, self.device)
            for method, packed in (families or {}).items()
            if gradients is not None
        }
        self.clear = clear_faces(protocol, nets, self.device)
        self.originals = realism.originals_of(self.clear.probe.images, nets)
        self.draws = statistics.person_draws(self.clear.people, REPLICATES, protocol.seed)
        self.absent = pairs.absent_people(self.clear.people, protocol.seed).to(self.device)
        self.temperature = expression.temperature_of(protocol, nets.teacher, self.device)
        self.labels = expression.labels_of(protocol.probe, protocol.expressions, nets.teacher.classes)
        self.verdicts = judging.verdicts_of(self.clear, nets, seed=protocol.seed)
        self.labelled = labelled.labels_of(self.clear, protocol.expressions, self.verdicts.rows)
        self.parts = protocol.parts
        self.reference: judging.Reference | None = None
        self.notes: list[str] = []
        self.curves: dict[str, dict[str, Curves]] | None = {} if keep_curves else None
        self._cache: dict[str, Scores] = {}
        self.ceiling = self._clear_scores()
        self._prove(self.ceiling)

    def _clear_scores(self) -> Scores:
        """Measure the clear faces as nobody publishes them: what is kept is a share of this."""
        publish, self.publish = self.publish, None
        try:
            return self.score(ANONYMIZERS["identity"]())
        finally:
            if publish is not None:
                self._cache.clear()  # the anchor is published like every other
            self.publish = publish

    def score(self, anonymizer: Anonymizer) -> Scores:
        """Measure one configuration; a configuration measured before comes from the cache.

        Raises:
            ValueError: if the anonymizer cannot work on these faces.
        """
        *_, scores = self.stages(anonymizer)
        return scores

    def stages(self, anonymizer: Anonymizer) -> Iterator[Scores]:
        """Measure one configuration stage by stage, see `evaluators.measuring.stages`.

        Yields:
            after each stage what is known by then, last of all what `score` returns. Who has seen enough asks no more;
            one that was measured to its end before is known at once.

        Raises:
            ValueError: if the anonymizer cannot work on these faces.
        """
        key = repr(anonymizer)
        if key in self._cache:
            yield self._cache[key]
            return
        evidence = self._evidence(anonymizer)
        tally = Tally(self.clear.probe_person.cpu(), self.draws, self.objectives)
        met: dict[str, Tensor] = {}
        plan = plan_of(self.attackers)
        seconds = 0.0
        for stage in plan:
            start = time.perf_counter()
            measure = functools.partial(self._measure, stage, evidence, tally, met)
            with torch.no_grad():
                with_smaller_batches(measure, self._halve, self.notes)
            seconds += time.perf_counter() - start
            whole = stage == list(plan)[-1]
            scores = self._scores(evidence, tally, seconds, "" if whole else stage)
            if whole:
                self._cache[key] = scores
            yield scores

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
            "rank1_clear": {
                name: rate for name in self.attackers if (rate := self.ceiling.values[f"rank1_{name}"]) is not None
            },
            "expression_kappa_adapted_clear": self.ceiling["expression_kappa_adapted"],
            "judges_clear": dict(self.reference.values) if self.reference else {},
            "judges_admitted": list(self.reference.admitted) if self.reference else [],
            "judges_classes": self._classes(),
            "labels_clear": dict(self.reference.labelled) if self.reference else {},
            "judges_agree": agreement.kappas(self.nets.judges, self.verdicts.said),
            "judges_smile": agreement.smiles(self.nets.judges, self.verdicts.said),
            "told_by": self.nets.told_by,
            "families": {method: dict(family.facts) for method, family in self.families.items()},
            "n_attacker_faces": len(self.protocol.attacker),
            "people": self.population.plain(),
            "held_bytes": held_bytes(self.device),
            "device_bytes": device_bytes(self.device),
        }
        if (label := self.labels) is not None and self.protocol.expressions is not None:
            known = label >= 0
            facts["n_teacher_labels"] = int(known.sum())  # probes whose label the teacher has a class for
            facts["labels_without_class"] = list(
                counterparts(self.protocol.expressions, self.nets.teacher.classes).without
            )
            if known.any():
                logits = self.clear.probe_reading.logits.cpu()[known]
                facts["teacher_accuracy"] = float((logits.argmax(1) == label[known]).double().mean())
                facts["teacher_ece"] = ece((logits / self.temperature).softmax(1), label[known])
        return facts

    @functools.cached_property
    def population(self) -> Population:
        """Return who is measured, and what judges say of their clear faces."""
        truth = {KAPPA: self.clear.probe_reading.logits.argmax(1).cpu()}
        judged: dict[str, str] = {}
        for judge, said in self.verdicts.probe.items():
            if judge in self.verdicts.classes:
                truth[judge] = said.cpu()
                judged |= {f"{KAPPA}_{judge}_{reader}": judge for reader in readers.READERS}
            else:
                square = judging.squares(said, torch.zeros_like(said))[1]
                sums = statistics.sums_by(square, self.clear.probe_person.cpu(), self.clear.people)
                truth[judge] = sums / (square.sum() / self.clear.people)
        assert self.ceiling.people is not None
        clear = {n: kept for n, kept in self.ceiling.people.sums.items() if n in judged or n.startswith(R2)}
        stretched = {n: stretch for n, stretch in self.ceiling.people.stretched.items() if n in clear}
        return Population(
            self.clear.people,
            self.clear.probe_person.cpu(),
            self.protocol.seed,
            REPLICATES,
            truth,
            {**judged, **dict.fromkeys((KAPPA, f"{KAPPA}_adapted", f"{KAPPA}_redetected"), KAPPA)},
            People(clear, stretched),
            self.reference.admitted if self.reference else (),
        )

    def _classes(self) -> dict[str, list[str]]:
        """Return the names of the classes of every judge who has some, and of the labels that readers learn."""
        judges = self.nets.judges or (self.nets.teacher,)
        named = {judge.name: list(judge.classes) for judge in judges if isinstance(judge, Teacher)}
        if self.labelled is not None and self.protocol.expressions is not None:
            named[labelled.LABELS] = list(self.protocol.expressions)
        return named

    def _halve(self) -> str | None:
        """Halve every batch; say what the anonymizer's is now, or None if none could be smaller."""
        nets = (self.nets.embedder, self.nets.second, self.nets.teacher, self.nets.detector, *self.nets.perceptual)
        before, self.batch_size = self.batch_size, halved(self.batch_size)
        smaller = halve_batches(nets) or self.batch_size < before
        return f"{self.batch_size} pictures for the anonymizer" if smaller else None

    def _evidence(self, anonymizer: Anonymizer) -> Evidence:
        return Evidence(
            anonymizer,
            self.clear,
            self.nets,
            seed=self.protocol.seed,
            batch_size=self.batch_size,
            publish=self.publish,
            families=self.families,
        )

    def _measure(self, stage: str, evidence: Evidence, tally: Tally, met: dict[str, Tensor]) -> None:
        """Put what a stage adds into a tally; what it finds there of a try that ran out of memory is put anew."""
        evidence.work_in_batches_of(self.batch_size)
        plan = plan_of(self.attackers)
        if stage == next(iter(plan)):
            tally.share(evidence.shared)
        if stage == READERS:
            expression.measure(evidence, tally, temperature=self.temperature, labels=self.labels)
            self.reference = judging.measure(evidence, tally, self.verdicts, self.reference, self.labelled, self.parts)
        if stage == PICTURES:
            realism.measure(evidence, tally, self.originals)
            redetected.measure(evidence, self.attackers, tally)
        if plan[stage]:
            identification.meet(evidence, plan[stage], met, tally)
        if stage == list(plan)[-1]:
            everybody = {name: met[name] for name in self.attackers if name in met}
            identification.measure(evidence, everybody, tally, absent=self.absent, curves=self.curves, parts=self.parts)

    def _scores(self, evidence: Evidence, tally: Tally, seconds: float, stage: str) -> Scores:
        return Scores(
            values={name: tally.values.get(name) for name in METRICS},
            intervals=dict(tally.intervals),
            replicates=dict(tally.replicates),
            n_probe=len(self.clear.probe),
            n_people=self.clear.people,
            n_gallery=len(self.clear.gallery),
            n_attacker=len(self.clear.attacker),
            chance_rank1=1 / self.clear.people,
            seconds=seconds,
            told_by=self._told_by(evidence.anonymizer),
            curves=(self.curves or {}).get(repr(evidence.anonymizer), {}),
            details={} if stage else tally.details,
            people=tally.people,
            stage=stage,
        )

    def _told_by(self, anonymizer: Anonymizer) -> str:
        """Return whose answers about the expression a method is told; "" where it is told none."""
        told = [name for name in ("expression", "coefficients") if name in anonymizer.needed()]
        return ", ".join(dict.fromkeys(self.nets.facts.get(name, {}).get("name", self.nets.told_by) for name in told))

    def _prove(self, clear: Scores) -> None:
        """Refuse attackers and readers that do not learn even from clear faces."""
        floor = clear.intervals["rank1_fixed"][0]
        for name in (name for name in self.attackers if name in ADAPTIVE):
            if clear[f"rank1_{name}"] < floor:
                other = ", or another network with --held-out" if name == "held_out" else ""
                raise CannotLearnError(
                    f"attacker {name}: expected rank-1 of at least {floor:.3f} on clear faces (the fixed attacker's "
                    f"lower bound), got {clear[f'rank1_{name}']:.3f}; it cannot learn from "
                    f"{len(self.protocol.gallery)} gallery pictures of {self.clear.people} people, so its rates would "
                    f"be no privacy. Give more pictures per person{other}"
                )
        if clear.intervals["expression_kappa_adapted"][0] <= 0:
            raise CannotLearnError(
                "the adapted reader: expected a kappa above 0 on clear faces, got "
                f"{clear['expression_kappa_adapted']:.3f}; give more faces of attacker people "
                f"(here {len(self.protocol.attacker)}) or another teacher"
            )
        if self.reference is not None and not self.reference.admitted:
            found = ", ".join(f"{name} {value:.3f}" for name, value in self.reference.values.items())
            raise CannotLearnError(
                "judges: expected one whose adapted reader reaches a kappa of 0.3, or an R² of 0.2, on clear faces, "
                f"got {found}; give more faces of attacker people (here {len(self.protocol.attacker)}) or other judges"
            )

"""Judging: what the judges say of the clear faces, and how much of it readers still find in the released ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evaluators.attackers.evidence import Clear, Evidence
from evaluators.measuring import labelled
from evaluators.measuring.tally import Tally
from evaluators.metrics.kept import Measured, share_kept, smallest_share
from evaluators.networks.roles import Nets, Teacher
from evaluators.readers import READERS
from evaluators.readers.looking import a_few_of_each, look, sight_of
from evaluators.readers.shown import Learned, degradations, learn, seen

BANK_FACES = 600
"""Attacker faces that the shown reader learns each degradation on; on a CPU they cost most of a panel's start."""
LEAST_VARIED = 0.02
"""Deviation on attacker people from which a coefficient counts."""
LEAST_SCORE = {"kappa": 0.3, "r2": 0.2}
"""What the adapted reader must reach on clear faces, both readers with their intervals above half of it, for a judge to
be admitted."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Hold what every judge says of the clear faces; computed once per panel.

    Attributes:
        said: judge -> (N, C) logits or (N, D) coefficients of the clear probes, as he gives them.
        probe: judge -> (N,) int64 classes, or (N, D) float32 coefficients, standardized by the attacker people's; NaN
            where he finds no face.
        attacker: judge -> the same of the `rows` of the attacker people.
        rows: (A,) int64, attacker faces of which every judge says something.
        person: (A,) int64, whose they are.
        classes: categorical judge -> number of classes.
        shown: what the shown reader learned.
    """

    said: Mapping[str, Tensor]
    probe: Mapping[str, Tensor]
    attacker: Mapping[str, Tensor]
    rows: Tensor
    person: Tensor
    classes: Mapping[str, int]
    shown: Learned


Scores = Mapping[str, Mapping[str, Measured]]
"""Judge -> reader -> what he reaches."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Hold what readers reach on clear faces, judge -> reader -> what he reaches; and who is admitted.

    `labelled` is what is right of people's labels there, by column; `parts` what readers reach on groups of people.
    """

    scores: Scores
    admitted: tuple[str, ...]
    labelled: Mapping[str, float]
    parts: dict[tuple[str, str], Scores] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """Return what the adapted reader reaches."""
        return {judge: found["adapted"].value for judge, found in self.scores.items()}


@torch.no_grad()
def verdicts_of(clear: Clear, nets: Nets, *, seed: int) -> Verdicts:
    """Ask every judge about the clear faces, and teach the shown reader.

    Args:
        clear: the faces.
        nets: with judges.
        seed: of the bank's noise.
    """
    judges = nets.judges or (nets.teacher,)
    given, probe, attacker, classes, seen_before = {}, {}, {}, {}, {}
    for judge in judges:
        if isinstance(judge, Teacher):
            given[judge.name] = judge(clear.probe.images).logits
            probe[judge.name] = given[judge.name].argmax(1)
            answer = judge(clear.attacker.images)
            attacker[judge.name], seen_before[judge.name] = answer.logits.argmax(1), answer.features
            classes[judge.name] = len(judge.classes)
        else:
            here, there = judge.describe(clear.probe), judge.describe(clear.attacker)
            given[judge.name] = here
            found = there[there.isfinite().all(1)]
            varied = found.std(0, correction=0) > LEAST_VARIED
            mean, deviation = found.mean(0), found.std(0, correction=0)
            probe[judge.name] = ((here - mean) / deviation)[:, varied]
            attacker[judge.name] = ((there - mean) / deviation)[:, varied]
    described = torch.ones(len(clear.attacker), dtype=torch.bool, device=clear.probe_person.device)
    for said in attacker.values():
        described &= said.isfinite().all(1) if said.is_floating_point() else said >= 0
    rows = torch.nonzero(described)[:, 0]
    attacker = {name: said[rows] for name, said in attacker.items()}
    person = clear.attacker.identity.to(rows.device)[rows]
    known = {name: features[rows] for name, features in seen_before.items()}
    features, blocks = look(clear.attacker.images[rows], nets, clear.attacker_embedding[rows], known)
    bank = [seen(features, attacker, person, blocks)]
    some = a_few_of_each(person, BANK_FACES).to(rows.device)
    faces = clear.attacker.take(rows[some].to(clear.attacker.identity.device))
    for degrade in degradations(seed).values():
        features, _ = look(degrade(faces), nets)
        targets = {judge: target[some] for judge, target in attacker.items()}
        bank.append(seen(features, targets, person[some], blocks))
    return Verdicts(given, probe, attacker, rows, person, classes, learn(bank, blocks))


def measure(
    evidence: Evidence,
    tally: Tally,
    verdicts: Verdicts,
    reference: Reference | None,
    labels: labelled.Labels | None = None,
    parts: Mapping[tuple[str, str], Tensor] | None = None,
) -> Reference:
    """Put the columns of judges and readers into a tally.

    Args:
        evidence: of one configuration.
        tally: that takes the values.
        verdicts: on the clear faces.
        reference: what the adapted reader reached on clear faces; None while they are measured themselves.
        labels: that people gave; None without any. The unprepared teacher's columns stand in the tally already.
        parts: group of people, by attribute and name -> (n,) int64, their probes.

    Returns:
        the reference, made of this configuration where there was none.
    """
    sight = sight_of(evidence, verdicts.rows, verdicts.person, verdicts.attacker, verdicts.shown)
    scores: dict[str, dict[str, Measured]] = {}
    readings = {name: reader(sight) for name, reader in READERS.items()}
    for reader, read in readings.items():
        for judge, said in read.items():
            truth, classes = verdicts.probe[judge], verdicts.classes.get(judge, 0)
            column = f"expression_{'kappa' if classes else 'r2'}_{judge}_{reader}"
            found = scores.setdefault(judge, {})[reader] = _score(truth, said, classes, tally, column)
            tally.put(column, found.value, found.interval, found.draws)
            if classes:
                tally.put_confusion(judge, reader, tally.confusion(truth, said.argmax(1), classes))
    _beyond_word(evidence, readings["adapted"], verdicts, tally)
    if labels is not None:
        labelled.measure(sight, tally, labels)
    if reference is None:
        reference = _reference(scores, verdicts, tally)
    labelled.put_drops(tally, reference.labelled)
    shares = {}
    for judge, reached in scores.items():
        clear = reference.scores[judge]
        if all(one.value > 0 for one in clear.values()):
            pairs = [(reached[reader], clear[reader]) for reader in reached]
            share = share_kept(pairs, tally.interval, tally.wilson)
            if not bool(share.draws.isfinite().all()):
                continue  # some draws of few people leave nothing on clear faces that could be kept
            shares[judge] = share
            tally.put(f"expression_kept_{judge}", share.value, share.interval, share.draws)
    if reference.admitted:
        least = smallest_share([shares[judge] for judge in reference.admitted], tally.interval)
        tally.put("expression_kept", least.value, least.interval, least.draws)
    for whose, rows in (parts or {}).items():
        part = tally.part(rows)
        read_there = _scores_of_part(readings, verdicts, rows, part)
        clear_there = reference.parts.setdefault(whose, read_there)  # they are the clear faces themselves at first
        tally.put_group(whose, expression_kept=_kept_of_part(read_there, clear_there, reference.admitted, part))
    return reference


def _scores_of_part(
    readings: Mapping[str, Mapping[str, Tensor]], verdicts: Verdicts, rows: Tensor, part: Tally
) -> Scores:
    """Compare what readers say of some probes with the judges; a judge who describes none of them is left out."""
    scores: dict[str, dict[str, Measured]] = {}
    for reader, read in readings.items():
        for judge, said in read.items():
            truth = verdicts.probe[judge]
            there = rows.to(truth.device)
            if not truth.is_floating_point() or float(squares(truth[there], said[there])[1].sum()) > 0:
                found = _score(truth[there], said[there], verdicts.classes.get(judge, 0), part)
                scores.setdefault(judge, {})[reader] = found
    return scores


def _kept_of_part(now: Scores, clear: Scores, admitted: Sequence[str], part: Tally) -> list[float] | None:
    """Return the smallest share that admitted judges find kept of some people's expression, and its interval.

    None where a reader cannot follow one of them on the clear faces of these people, in every draw of them: the least
    of fewer judges would be another quantity than that of other people.
    """
    for judge in admitted:
        if judge not in clear or not all(bool((one.draws > 0).all()) for one in clear[judge].values()):
            return None
    shares = [
        share_kept([(now[judge][reader], clear[judge][reader]) for reader in clear[judge]], part.interval, part.wilson)
        for judge in admitted
    ]
    if not shares:
        return None
    least = smallest_share(shares, part.interval)
    return [least.value, *least.interval]


def _score(truth: Tensor, said: Tensor, classes: int, tally: Tally, kept: str | None = None) -> Measured:
    """Compare what a reader says of the probes with a judge: kappa of classes, explained variance of coefficients."""
    if classes:
        return tally.agreed(truth, said.argmax(1), classes, kept)
    return tally.explained(*squares(truth, said), kept)


def squares(truth: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """Compute each picture's squared error and square, summed over coefficients.

    Args:
        truth: (N, D) standardized coefficients; NaN of faces that nobody described, which count 0 in both.
        said: (N, D), what a reader says.

    Returns:
        (N,) float64 each, on the CPU: (truth - said)², and truth², about the attacker people's mean, 0.
    """
    known = truth.isfinite().all(1)
    found = (torch.where(known, x.square().sum(1).double(), 0.0).cpu() for x in (truth - said, truth))
    error, square = found
    return error, square


def _beyond_word(evidence: Evidence, read: Mapping[str, Tensor], verdicts: Verdicts, tally: Tally) -> None:
    """Put the share of the coefficients' variance within the first teacher's words that the adapted reader explains."""
    word = evidence.clear.probe_reading.logits.argmax(1)
    for judge, truth in verdicts.probe.items():
        if truth.is_floating_point():
            said = read[judge]
            known = truth.isfinite().all(1)
            error = spread = 0.0
            for one in word[known].unique():
                some = known & (word == one)
                rest, found = truth[some] - truth[some].mean(0), said[some] - said[some].mean(0)
                error, spread = error + float((rest - found).square().sum()), spread + float(rest.square().sum())
            if spread > 0:
                tally.values["expression_r2_beyond_word"] = 1 - error / spread


def _reference(scores: Scores, verdicts: Verdicts, tally: Tally) -> Reference:
    """Take the clear faces' scores as what can be kept, and admit the judges whom a reader can follow."""
    admitted = []
    for judge, found in scores.items():
        least = LEAST_SCORE["kappa" if judge in verdicts.classes else "r2"]
        drawn = all(bool((one.draws > 0).all()) for one in found.values())
        if drawn and found["adapted"].value >= least and min(one.interval[0] for one in found.values()) > least / 2:
            admitted.append(judge)
    return Reference(scores, tuple(admitted), labelled.clear_values(tally))

"""Evidence: what the attackers and the adapted reader see of one configuration, each part computed once."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from anonymizers import Anonymizer, Context, Faces
from evaluators.attackers.learning.family import Family
from evaluators.attackers.learning.inverse import Prior, prior_of
from evaluators.attackers.learning.rehearsal import rehearse
from evaluators.attackers.learning.undoing import Undo, undo_of
from evaluators.datasets.protocol import Protocol
from evaluators.networks.roles import Differentiable, Found, Nets, TeacherOutput
from evaluators.networks.signals import Measure, with_measured

ATTACKER_SEED_OFFSET = 1_000_003
"""The attacker knows the method but not the secret seed of the one who anonymizes: his own seed differs."""


@dataclass(frozen=True, eq=False)
class Clear:
    """Hold what never changes about the original faces; computed once per panel.

    Attributes:
        probe, gallery, attacker: Faces on the panel's device, with the signals that methods draw from.
        probe_person: (N,) int64, index of the probe's person among the enrolled.
        gallery_person: (M,) int64, likewise.
        people: number of enrolled people P.
        probe_embedding: (N, D) float32, unit norm.
        gallery_embedding: (M, D) float32, unit norm.
        probe_reading: the teacher on the clear probes.
        attacker_embedding: (A, D) float32, unit norm.
        attacker_answer: (A,) int64, the teacher's top-1 on the clear faces of the attacker people.
        prior: how their pixels vary.
        background: people who serve only to build anonymizers, as they came, see `told`.
    """

    probe: Faces
    gallery: Faces
    attacker: Faces
    background: Faces
    probe_person: Tensor
    gallery_person: Tensor
    people: int
    probe_embedding: Tensor
    gallery_embedding: Tensor
    probe_reading: TeacherOutput
    attacker_embedding: Tensor
    attacker_answer: Tensor
    prior: Prior
    _told: dict[tuple[str, ...], Faces] = field(default_factory=dict, init=False)

    def told(self, needs: tuple[str, ...], measures: Mapping[str, Measure]) -> Faces:
        """Return the background with the signals that a method needs of it, measured when the first one asks."""
        if not needs:
            return self.background
        if needs not in self._told:
            asked = {name: measures[name] for name in needs if name in measures}
            self._told[needs] = with_measured(self.background, asked)
        return self._told[needs]


class Evidence:
    """Anonymize and embed on demand, at most once each, for one configuration."""

    def __init__(
        self,
        anonymizer: Anonymizer,
        clear: Clear,
        nets: Nets,
        *,
        seed: int,
        batch_size: int,
        publish: Callable[[Tensor], Tensor] | None = None,
        families: Mapping[str, Family] | None = None,
    ) -> None:
        self.anonymizer = anonymizer
        self.family = (families or {}).get(anonymizer.method)
        self.clear = clear
        self.nets = nets
        self.seed = seed
        self.publish = publish
        self._treated: dict[str, tuple[Tensor, ...]] = {}
        self.release = Context(
            seed=seed,
            batch_size=batch_size,
            background=clear.told(anonymizer.background_needs, nets.signals),
            models=nets.models,
            embed=None if nets.differentiable is None else nets.differentiable.embed,
            embedder="" if nets.differentiable is None else nets.differentiable.name,
        )
        self.rehearsal = replace(self.release, seed=seed + ATTACKER_SEED_OFFSET)
        if anonymizer.method == "identity" and publish is None:  # these networks have looked at these pictures
            self.__dict__ |= {
                "probe_embedding": clear.probe_embedding,
                "gallery_embedding": clear.gallery_embedding,
                "attacker_embedding": clear.attacker_embedding,
                "probe_reading": clear.probe_reading,
            }

    def work_in_batches_of(self, size: int) -> None:
        """Let the anonymizer work on so many pictures at a time from now on; the result does not depend on it."""
        self.release, self.rehearsal = (replace(one, batch_size=size) for one in (self.release, self.rehearsal))

    def _published(self, released: Tensor) -> Tensor:
        """Do to anonymized pictures what is done before anybody sees them; the attackers know."""
        return released if self.publish is None else self.publish(released)

    @functools.cached_property
    def _released(self) -> tuple[Tensor, Tensor | None]:
        """Return the released pictures as they are published, and which of them are one picture for several people."""
        released = self.anonymizer(self.clear.probe, self.release)
        return self._published(released), self.anonymizer.shared(released)

    @property
    def probe(self) -> Tensor:
        """Return the released pictures as they are published, (N, 3, H, W) uint8."""
        return self._released[0]

    @property
    def shared(self) -> Tensor | None:
        """Return (N,) int64, equal where two probes got the same picture; None where each gets one of its own."""
        return self._released[1]

    @functools.cached_property
    def probe_embedding(self) -> Tensor:
        """Return (N, D) float32, unit norm."""
        return self.nets.embedder(self.probe)

    @functools.cached_property
    def probe_reading(self) -> TeacherOutput:
        """Return the teacher's logits and features on the released pictures."""
        return self.nets.teacher(self.probe)

    @functools.cached_property
    def probe_found(self) -> Found | None:
        """Return where the detector finds a face on the released pictures; None without a detector."""
        return None if self.nets.detector is None else self.nets.detector(self.probe)

    @functools.cached_property
    def gallery_embedding(self) -> Tensor:
        """Return (M, D) float32, unit norm, of the gallery as the attacker anonymizes it himself."""
        return self.nets.embedder(self.gallery)

    @functools.cached_property
    def held_out_embeddings(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return probes, anonymized gallery and clear gallery by the held-out embedder, float32 of unit norm.

        Raises:
            ValueError: if there is none.
        """
        net = self.nets.held_out
        if net is None:
            raise ValueError("attacker held_out: expected a second embedder, got none; give one or leave him out")
        return net(self.probe), net(self.gallery), net(self.clear.gallery.images)

    @functools.cached_property
    def undo(self) -> Undo | None:
        """Return what undoes the method without a network; None where nothing is won by it."""
        faces = self.clear.attacker
        return undo_of(
            self.anonymizer,
            faces.images,
            self.attacker,
            faces.scale,
            prior=self.clear.prior,
            clear_embedding=self.clear.attacker_embedding,
            released_embedding=lambda: self.attacker_embedding,
            embed=self.nets.embedder,
        )

    @functools.cached_property
    def undone_probe_embedding(self) -> Tensor:
        """Return (N, D) float32, unit norm, of the released pictures, undone as far as that helps."""
        return self.probe_embedding if self.undo is None else self.nets.embedder(self.undo(self.probe))

    @functools.cached_property
    def undone_gallery_embedding(self) -> Tensor:
        """Return (M, D) float32, unit norm, of the gallery that the attacker anonymized and undid himself."""
        return self.gallery_embedding if self.undo is None else self.nets.embedder(self.undo(self.gallery))

    @functools.cached_property
    def inverse(self) -> Undo | None:
        """Return what undoes the method where it says itself how it mixes pixels; None where it does not."""
        faces = self.clear.attacker
        return None if self.anonymizer.linear(faces.size, faces.scale) is None else self.undo

    def guess(self, released: Tensor) -> Tensor:
        """Undo (N, 3, S, S) uint8 pictures as far as the method itself says how it mixes pixels, to uint8 ones."""
        return released if self.inverse is None else self.inverse(released)

    def treated(self, attacker: str, treat: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return what an attacker makes of probes and of the gallery that he anonymized himself; made once.

        Args:
            attacker: his name.
            treat: makes it: one row for each probe, one for each gallery picture, then whatever else he has learned.
        """
        if attacker not in self._treated:
            self._treated[attacker] = treat()
        return self._treated[attacker]

    def second_sight(self, *, undone: bool = False) -> tuple[Tensor, ...] | None:
        """Return (N, D') probes and (M, D') own gallery by the second embedder, float32 of unit norm; None without one.

        Args:
            undone: look at the pictures as far as they can be undone.
        """
        net, undo = self.nets.second, self.undo if undone else None
        if net is None:
            return None
        if undo is None:
            return self.treated("second", lambda: (net(self.probe), net(self.gallery)))
        return self.treated("second, undone", lambda: (net(undo(self.probe)), net(undo(self.gallery))))

    def without(self, absent: Tensor) -> Evidence:
        """Return the evidence of an attacker in whose gallery some people are not, for an open-set search.

        What was made of the others' pictures is not made again; the probes stay, and `clear.probe_person` with them.

        Args:
            absent: (P,) bool, who is left out; the others are numbered anew, in their order.
        """
        clear = self.clear
        rows = torch.nonzero(~absent[clear.gallery_person])[:, 0]
        number = (~absent).cumsum(0) - 1
        view = copy.copy(self)
        view.clear = replace(
            clear,
            gallery=clear.gallery.take(rows),
            gallery_person=number[clear.gallery_person[rows]],
            gallery_embedding=clear.gallery_embedding[rows],
            people=int((~absent).sum()),
        )
        view.__dict__ |= {name: getattr(self, name)[rows] for name in ("gallery", "gallery_embedding")}
        if "undone_gallery_embedding" in self.__dict__:
            view.__dict__["undone_gallery_embedding"] = self.undone_gallery_embedding[rows]
        view._treated = {who: (probe, own[rows], *rest) for who, (probe, own, *rest) in self._treated.items()}
        return view

    @property
    def differentiable(self) -> Differentiable:
        """Return the embedder with gradients.

        Raises:
            ValueError: if there is none.
        """
        net = self.nets.differentiable
        if net is None:
            raise ValueError(
                "attackers restored and finetuned: expected an embedder with gradients, got none; load the networks "
                "with differentiable=True or leave them out"
            )
        return net

    @functools.cached_property
    def gallery(self) -> Tensor:
        """Return (M, 3, H, W) uint8: the gallery as the attacker anonymizes it himself."""
        return self._published(self.anonymizer(self.clear.gallery, self.rehearsal))

    @functools.cached_property
    def attacker(self) -> Tensor:
        """Return (A, 3, H, W) uint8: faces of the attacker people, as the attacker anonymizes them himself.

        Of a method that works on sets, in sets of the size and rounds of the released one.
        """
        faces = self.clear.attacker
        if not self.anonymizer.of_sets:
            return self._published(self.anonymizer(faces, self.rehearsal))
        return self._published(rehearse(lambda some: self.anonymizer(some, self.rehearsal), faces, self.clear.probe))

    @functools.cached_property
    def attacker_embedding(self) -> Tensor:
        """Return (A, D) float32, unit norm, of those."""
        return self.nets.embedder(self.attacker)

    @functools.cached_property
    def attacker_reading(self) -> TeacherOutput:
        """Return the teacher's logits and features on those."""
        return self.nets.teacher(self.attacker)


@torch.no_grad()
def clear_faces(protocol: Protocol, nets: Nets, device: torch.device) -> Clear:
    """Compute once what never changes about the clear faces."""
    probe, gallery, attacker = (
        with_measured(faces.to(device), nets.signals) for faces in (protocol.probe, protocol.gallery, protocol.attacker)
    )
    reading = nets.teacher(probe.images)
    return Clear(
        probe=probe,
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
        attacker_answer=nets.teacher(attacker.images).logits.argmax(1),
        prior=prior_of(attacker.images),
    )

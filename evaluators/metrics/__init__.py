"""Metrics: the name, direction, range and source of every number that a panel reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evaluators.options import expected_one_of


@dataclass(frozen=True)
class Metric:
    """State the facts of a metric.

    Attributes:
        direction: "min" or "max": which is better for a private and useful anonymizer.
        low, high: range; None where unbounded.
        unit: "" for a ratio.
        worst: reference point of the hypervolume, and what a failed trial counts as; a value beyond it adds nothing.
        interval: whether it comes with a 95 % interval.
        source: who defined it.
        description: what it is, in a line.
    """

    direction: Literal["min", "max"]
    low: float | None
    high: float | None
    unit: str
    worst: float
    interval: bool
    source: str
    description: str


_ISO = "ISO/IEC 19795-1"


def _rank(k: int, attacker: str, description: str) -> Metric:
    return Metric("min", 0, 1, "", 1, True, _ISO, f"rank-{k} of {attacker}: {description}")


_ATTACKERS = {
    "fixed": "clear gallery, embeddings as they are",
    "flipped": "clear gallery, embeddings as they are, searched for whom they resemble least",
    "parrot": "gallery anonymized by the attacker himself",
    "held_out": "clear and anonymized gallery, another embedder family; at verification only",
    "mapped": "clear gallery, embeddings mapped by a network trained on other people",
    "restored": "clear and restored gallery, pixels restored by a U-Net trained on other people; at verification only",
    "finetuned": "clear and anonymized gallery, embedder adapted on other people; at verification only",
    "lowpass": "clear and anonymized gallery, colors of 8 px blocks, mapped by a ridge learned on other people",
    "of_family": "clear and restored gallery, U-Net and embedder trained once on other people for the whole method",
    "undone": "clear and anonymized gallery, the method undone by its inverse or a ridge learned on other people",
    "retrained": "discriminant analysis and MLPs trained on the anonymized gallery",
}
_COHEN = "Cohen, Educ. Psychol. Meas. 1960"
_OWN = "as defined here"
CATEGORICAL = (
    "facex", "faceapi", "mini_xception", "enet_b0_8_best_afew", "enet_b0_8_best_vgaf", "enet_b2_8", "ferplus",
    "demo_teacher", "demo_second_teacher",
)  # fmt: skip
"""Judges who answer with a class: the teachers that there are."""
CONTINUOUS = ("blendshapes", "demo_coefficients")
"""Judges who describe by coefficients."""
_READERS = {
    "adapted": "for a reader who learned on anonymized faces of other people",
    "shown": "for a reader who has seen clear and degraded faces, never this method",
}
_LABELLED = (
    ("accuracy", _OWN, "share of right answers"),
    ("macro_f1", "van Rijsbergen 1979", "mean F1 over classes"),
)
_LABEL_READERS = (("", "unprepared teacher"), ("_adapted", "reader who learned from labelled anonymized faces"))
_REDETECTED = "the face is found and aligned anew on the anonymized picture, one not found counts"

# A kappa, cosine or SSIM below 0 and an advantage above 1 cannot be told from their worst value by anyone who uses the
# faces, so worst is that value: the hypervolume clips what lies beyond it, and the table keeps it as measured.
METRICS: dict[str, Metric] = {
    **{f"rank1_{name}": _rank(1, name, text) for name, text in _ATTACKERS.items()},
    "rank1_worst": _rank(1, "the strongest attacker", "the largest of the attackers' rates"),
    "rank1_worst_fused": _rank(1, "the strongest attacker", "who has all pictures of a person at once"),
    **{f"rank{k}_{name}": _rank(k, name, text) for k in (5, 10) for name, text in _ATTACKERS.items()},
    **{
        f"tar_at_far_1e{n}": Metric(
            "min",
            0,
            1,
            "",
            1,
            False,
            _ISO,
            f"genuine pairs accepted where 1 impostor in 1e{n} is, strongest attacker",
        )
        for n in (2, 3, 4)
    },
    "eer": Metric("max", 0, 1, "", 0, False, _ISO, "equal error rate of the strongest attacker"),
    "auc": Metric("min", 0, 1, "", 1, False, "Hanley and McNeil 1982", "area under the ROC of the strongest attacker"),
    "d_prime": Metric(
        "min", None, None, "", 10, False, "Green and Swets 1966", "distance of genuine and impostor scores, strongest"
    ),
    "fnir_at_fpir_1e2": Metric(
        "max", 0, 1, "", 0, False, _ISO, "enrolled people missed where one stranger in 100 is named, strongest attacker"
    ),
    "linkability_auc": Metric(
        "min", 0, 1, "", 1, False, "Hanley and McNeil 1982", "anonymized against anonymized: same person or not"
    ),
    "chance_rank1_measured": Metric(
        "min",
        0,
        1,
        "",
        1,
        False,
        _OWN,
        "rank-1 of the strongest attacker where the probes' labels are shuffled, mean over 200 permutations",
    ),
    "advantage": Metric(
        "min",
        None,
        1,
        "",
        1,
        True,
        "Yeom et al., CSF 2018",
        "(rank1_worst - c) / (1 - c), c = chance_rank1_measured; 0 for a constant picture",
    ),
    "hifd_privacy": Metric(
        "max", 0, 1, "", 0, True, "HiFD", "0.5 (1 - mean cosine of original and anonymized); knows no attacker"
    ),
    "expression_kappa": Metric("max", -1, 1, "", 0, True, _COHEN, "teacher on anonymized against teacher on original"),
    "expression_kappa_adapted": Metric(
        "max", -1, 1, "", 0, True, _COHEN, "reader who has learned from anonymized faces against teacher on original"
    ),
    "expression_kept": Metric(
        "max", None, 1, "", 0, True, _OWN, "smallest share of the clear score that is kept, over judges and readers"
    ),
    **{
        f"expression_kept_{judge}": Metric(
            "max", None, None, "", 0, True, _OWN, f"the smaller reader's score over the clear one, judge {judge}"
        )
        for judge in (*CATEGORICAL, *CONTINUOUS)
    },
    **{
        f"expression_kappa_{judge}_{reader}": Metric(
            "max", -1, 1, "", 0, True, _COHEN, f"with {judge}'s answer on the clear face, {text}"
        )
        for judge in CATEGORICAL
        for reader, text in _READERS.items()
    },
    **{
        f"expression_r2_{judge}_{reader}": Metric(
            "max", None, 1, "", 0, True, _OWN, f"variance of {judge} on the clear face that is explained, {text}"
        )
        for judge in CONTINUOUS
        for reader, text in _READERS.items()
    },
    "expression_r2_beyond_word": Metric(
        "max", None, 1, "", 0, False, _OWN, "variance of the coefficients within the first teacher's words, explained"
    ),
    "expression_agreement": Metric("max", 0, 1, "", 0, True, _OWN, "raw share of equal answers of the teacher"),
    "expression_agreement_chance": Metric(
        "min", 0, 1, "", 1, False, _COHEN, "expression_agreement of independent answers"
    ),
    **{
        f"expression_{name}{whom}": Metric(
            "max", 0, 1, "", 0, False, source, f"{what}, against the true label, {reader}"
        )
        for name, source, what in _LABELLED
        for whom, reader in _LABEL_READERS
    },
    **{
        f"expression_{name}{whom}_drop": Metric(
            "min", -1, 1, "", 1, False, source, f"{what} on clear faces less that on anonymized ones, {reader}"
        )
        for name, source, what in _LABELLED
        for whom, reader in _LABEL_READERS
    },
    "expression_kl": Metric(
        "min",
        0,
        None,
        "nats",
        10,
        True,
        "Kullback and Leibler, Ann. Math. Stat. 1951",
        "mean KL(p(original) ‖ p(anonymized))",
    ),
    "expression_js": Metric(
        "min", 0, 1, "", 1, True, "Lin, IEEE Trans. Inf. Theory 1991", "Jensen-Shannon divergence / ln 2"
    ),
    "expression_similarity": Metric("max", -1, 1, "", 0, True, _OWN, "mean cosine of the teacher's features"),
    "lpips": Metric("min", 0, None, "", 1, True, "Zhang et al., CVPR 2018", "learned perceptual distance"),
    "st_lpips": Metric("min", 0, None, "", 1, True, "Ghildyal and Liu, ECCV 2022", "shift-tolerant LPIPS"),
    "ssim": Metric("max", -1, 1, "", 0, True, "Wang et al., IEEE TIP 2004", "structural similarity"),
    "ms_ssim": Metric(
        "max", 0, 1, "", 0, True, "Wang et al., Asilomar 2003", "SSIM over five scales; crops of at least 161 px"
    ),
    "mse": Metric("min", 0, 1, "", 1, True, _OWN, "mean squared error, data range 1"),
    "psnr": Metric("max", 0, None, "dB", 0, False, _OWN, "of the mean squared error; none for identical pictures"),
    "fid": Metric("min", 0, None, "", 500, False, "Heusel et al., NIPS 2017", "Fréchet distance of Inception features"),
    "kid": Metric(
        "min", None, None, "", 1, False, "Bińkowski et al., ICLR 2018", "kernel distance of Inception features"
    ),
    "frechet_embedding": Metric(
        "min", 0, 4, "", 4, False, "Heusel et al., NIPS 2017", "Fréchet distance of the embedder's features"
    ),
    "detection_rate": Metric("max", 0, 1, "", 0, True, _OWN, "share of pictures in which a face is still found"),
    **{
        f"rank1_{name}_redetected": _rank(1, who, f"{how}; {_REDETECTED} as not identified")
        for name, who, how in (
            ("fixed", "fixed", _ATTACKERS["fixed"]),
            ("parrot", "parrot", _ATTACKERS["parrot"]),
            ("worst", "the strongest attacker", "the larger of fixed's and parrot's rates"),
        )
    },
    "expression_agreement_redetected": Metric(
        "max", 0, 1, "", 0, True, _OWN, f"expression_agreement; {_REDETECTED} as a wrong expression"
    ),
    "expression_kappa_redetected": Metric(
        "max", -1, 1, "", 0, True, _COHEN, f"expression_kappa; {_REDETECTED} as a wrong expression"
    ),
    "signal_share": Metric(
        "max",
        0,
        1,
        "",
        0,
        True,
        _OWN,
        "share of faces with every signal that the method needs; the others are released black",
    ),
    "signal_nme": Metric(
        "min",
        0,
        None,
        "",
        1,
        False,
        "Sun et al., CVPR 2013",
        "error of the landmarks that condition the method against the detector's, over inter-ocular distance",
    ),
    "landmark_nme": Metric(
        "min",
        0,
        None,
        "",
        1,
        False,
        "Sun et al., CVPR 2013",
        "landmark error over inter-ocular distance, where a face is found in both pictures",
    ),
}


def objectives_of(names: Sequence[str]) -> dict[str, str]:
    """Look up the direction of each metric.

    Args:
        names: of metrics.

    Returns:
        Name -> "min" or "max", in the given order.

    Raises:
        ValueError: if a metric is unknown.
    """
    for name in names:
        if name not in METRICS:
            raise ValueError(expected_one_of("--objective", METRICS, name, "what --list-metrics lists"))
    return {name: METRICS[name].direction for name in names}

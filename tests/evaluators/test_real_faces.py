"""Every metric on 50 real faces and their anonymized pictures equals an independent implementation of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.ndimage import correlate1d
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import cohen_kappa_score, f1_score, roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from anonymizers import Anonymizer, Blur, Context, Faces, KSame, Pixelate
from evaluators.datasets.alignment import align
from evaluators.datasets.folder import load_faces
from evaluators.datasets.sources.pictures import read_picture
from evaluators.metrics import distribution, expression, identification, pairs, realism
from evaluators.networks.backends.insightface_files import arcface
from evaluators.networks.backends.onnx_nets import OnnxEmbedder, OnnxTeacher
from evaluators.networks.catalog.conventions import EMBEDDERS
from evaluators.networks.loaders import load_detector
from evaluators.networks.perceptual import STLPIPS
from tests.places import SHARED

LFW, MODELS = SHARED / "data" / "lfw", SHARED / "models"
PEOPLE = ("Ariel_Sharon", "Gloria_Macapagal_Arroyo", "Serena_Williams", "Vladimir_Putin", "Jennifer_Capriati")
METHODS: tuple[Anonymizer, ...] = (Blur(kernel=21), Pixelate(block=8), KSame(k=2, variant="pixel"))

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not LFW.is_dir() or not MODELS.is_dir(), reason="needs networks and LFW of the test data"),
]


@dataclass(frozen=True, eq=False)
class Case:
    """Hold clear faces, what a method makes of them, and what the networks say of both."""

    clear: Faces
    hidden: Tensor
    embedding: tuple[Tensor, Tensor]
    logits: tuple[Tensor, Tensor]


def ten_each(detector: Any, size: int = 112, count: int = 10) -> Faces:
    paths = [LFW / name / f"{name}_{i:04d}.jpg" for name in PEOPLE for i in range(1, count + 1)]
    numbers = [i for i in range(len(PEOPLE)) for _ in range(count)]
    faces, rejected = load_faces(LFW, paths, numbers, detector, size=size)
    assert len(faces) == len(paths) and not rejected
    return faces


@pytest.fixture(scope="module")
def detector() -> Any:
    return load_detector(MODELS, threads=1)


@pytest.fixture(scope="module")
def faces(detector: Any) -> Faces:
    return ten_each(detector)


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder(MODELS, "edgeface_xs")


@pytest.fixture(scope="module")
def read(faces: Faces, embedder: OnnxEmbedder) -> dict[str, Case]:
    teacher = OnnxTeacher(MODELS, "facex")
    clear = embedder(faces.images), teacher(faces.images).logits
    cases = {}
    for method in METHODS:
        hidden = method(faces, Context())
        out = embedder(hidden), teacher(hidden).logits
        cases[method.method] = Case(faces, hidden, (clear[0], out[0]), (clear[1], out[1]))
    return cases


@pytest.fixture(params=[method.method for method in METHODS])
def case(request: pytest.FixtureRequest, read: dict[str, Case]) -> Case:
    return read[request.param]


def test_ssim_mse_and_psnr_are_skimages_and_torchmetrics(case: Case) -> None:
    original, hidden = case.clear.images, case.hidden
    mine = realism.ssim(hidden, realism.ssim_statistics(original))
    error = realism.mse(original, hidden)
    rows = zip(original.numpy(), hidden.numpy(), mine.tolist(), error.tolist(), strict=True)
    for a, b, ssim, mse in rows:
        options: dict[str, Any] = {"channel_axis": 0, "gaussian_weights": True, "sigma": 1.5, "data_range": 255}
        assert ssim == pytest.approx(structural_similarity(a, b, use_sample_covariance=False, **options), abs=1e-5)
        assert mse == pytest.approx(mean_squared_error(a / 255, b / 255), rel=1e-5)
    assert realism.psnr(float(error[0])) == pytest.approx(
        peak_signal_noise_ratio(original[0].numpy(), hidden[0].numpy(), data_range=255), abs=1e-4
    )
    some = slice(0, 50, 5)  # its filters take long in float64
    _, maps = structural_similarity_index_measure(
        hidden[some].double(), original[some].double(), data_range=255.0, reduction="none", return_full_image=True
    )
    torch.testing.assert_close(mine[some].double(), maps[..., 5:-5, 5:-5].mean((1, 2, 3)), atol=1e-5, rtol=0)


def test_ms_ssim_is_a_plain_one_over_five_scales(detector: Any) -> None:
    """Wang's weights, on scipy's filters in float64; crops of 224 px, since 112 px do not carry five scales."""
    faces = ten_each(detector, 224, 2)
    hidden = Blur(kernel=21)(faces, Context())
    offset = np.arange(-5, 6)
    window = np.exp(-0.5 * (offset / 1.5) ** 2)
    window /= window.sum()

    def smooth(x: np.ndarray) -> np.ndarray:
        rows = correlate1d(x, window, axis=1)[:, 5:-5]
        return correlate1d(rows, window, axis=2)[:, :, 5:-5]

    expected = []
    for a, b in zip(faces.images.double().numpy(), hidden.double().numpy(), strict=True):
        value = 1.0
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            if scale:
                a, b = (x.reshape(3, x.shape[1] // 2, 2, x.shape[2] // 2, 2).mean((2, 4)) for x in (a, b))
            mean_a, mean_b = smooth(a), smooth(b)
            squares = smooth(a * a) - mean_a**2 + smooth(b * b) - mean_b**2
            structure = (2 * (smooth(a * b) - mean_a * mean_b) + 58.5225) / (squares + 58.5225)
            light = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
            value *= max(0.0, float((structure * light if scale == 4 else structure).mean())) ** weight
        expected.append(value)
    mine = realism.ms_ssim(hidden, faces.images)
    assert mine is not None
    assert mine.tolist() == pytest.approx(expected, abs=1e-5)
    # torchmetrics averages the coarsest scale over mirrored borders too.
    theirs = multiscale_structural_similarity_index_measure(
        hidden.float(), faces.images.float(), reduction="none", data_range=255.0
    )
    torch.testing.assert_close(mine, torch.as_tensor(theirs), atol=5e-3, rtol=0)


def test_st_lpips_is_the_authors(case: Case, published: Any) -> None:
    some, net = slice(0, 50, 5), STLPIPS()
    original, hidden = case.clear.images[some], case.hidden[some]
    with torch.no_grad():
        expected = published(original.float() / 127.5 - 1, hidden.float() / 127.5 - 1).flatten()
    torch.testing.assert_close(net.distance_to(net.features(original), hidden), expected, atol=1e-5, rtol=1e-4)


def test_expression_figures_are_sklearns_scipys_and_torchmetrics(case: Case) -> None:
    before, after = case.logits
    truth, answer = before.argmax(1), after.argmax(1)
    person = case.clear.identity
    table = expression.confusion_by_person(truth, answer, person, len(PEOPLE), 7).sum(0)
    assert float(expression.kappa(table)) == pytest.approx(cohen_kappa_score(truth, answer), abs=1e-9)
    assert float(expression.macro_f1(table)) == pytest.approx(f1_score(truth, answer, average="macro"), abs=1e-9)
    assert float(expression.agreement(table)) == pytest.approx(float((truth == answer).double().mean()), abs=1e-12)
    p, q = before.softmax(1), after.softmax(1)
    assert expression.kl(p, q).numpy() == pytest.approx(entropy(p.double(), q.double(), axis=1), rel=1e-4, abs=1e-6)
    root = jensenshannon(p.double().numpy(), q.double().numpy(), base=2, axis=1)
    assert expression.js(p, q).numpy() == pytest.approx(root**2, rel=1e-4, abs=1e-6)
    ece = multiclass_calibration_error(q, truth, num_classes=7, n_bins=15, norm="l1")
    assert expression.ece(q, truth) == pytest.approx(float(ece), abs=1e-6)


def test_verification_figures_are_sklearns(case: Case) -> None:
    clear, hidden = case.embedding
    person = case.clear.identity
    scores = identification.person_scores(hidden, clear, person, len(PEOPLE))
    genuine, impostor = pairs.split_pairs(scores, person)
    truth = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    value = np.r_[genuine, impostor]
    assert pairs.auc(genuine, impostor) == pytest.approx(roc_auc_score(truth, value), abs=1e-9)
    false, true, _ = roc_curve(truth, value, drop_intermediate=False)
    assert pairs.tar_at_far(genuine, impostor, 0.05) == pytest.approx(true[false <= 0.05 + 1e-12].max(), abs=1e-12)
    # The equal error rate lies between the two neighboring points of the curve where the errors cross.
    gap = (1 - true) - false
    i = int(np.argmax(gap <= 0))
    assert min(1 - true[i], false[i - 1]) - 1e-12 <= pairs.eer(genuine, impostor) <= max(1 - true[i - 1], false[i])
    share = gap[i - 1] / (gap[i - 1] - gap[i]) if gap[i] < 0 else 1.0
    crossing = false[i - 1] + share * (false[i] - false[i - 1])
    assert pairs.eer(genuine, impostor) == pytest.approx(crossing, abs=1e-9)


def test_linkability_pairs_are_all_pairs(case: Case) -> None:
    _, hidden = case.embedding
    person = case.clear.identity
    genuine, impostor = pairs.within_pairs(hidden, person)
    cosine = hidden.double().numpy() @ hidden.double().numpy().T
    i, j = np.triu_indices(len(cosine), 1)
    same = person.numpy()[i] == person.numpy()[j]
    assert (len(genuine), len(impostor)) == (int(same.sum()), int((~same).sum())) == (225, 1000)
    assert pairs.auc(genuine, impostor) == pytest.approx(roc_auc_score(same, cosine[i, j]), abs=1e-4)


def test_rank1_is_that_of_sklearns_nearest_neighbor(case: Case) -> None:
    clear, hidden = (e.double().numpy() for e in case.embedding)
    person = case.clear.identity
    gallery = np.arange(50) % 10 < 5
    nearest = KNeighborsClassifier(1, metric="cosine").fit(clear[gallery], person[gallery])
    expected = nearest.score(hidden[~gallery], person[~gallery])
    probe, enrolled = (torch.from_numpy(x).float() for x in (hidden[~gallery], clear[gallery]))
    scores = identification.person_scores(probe, enrolled, person[gallery], len(PEOPLE))
    assert float(identification.rank_credit(scores, person[~gallery], 1).mean()) == pytest.approx(expected, abs=1e-9)


def test_frechet_and_kernel_distance_of_embeddings_are_scipys_and_a_plain_ones(case: Case) -> None:
    clear, hidden = (e.double() for e in case.embedding)
    covariances = [np.cov(x.numpy(), rowvar=False) for x in (clear, hidden)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    distance = float((clear.mean(0) - hidden.mean(0)).square().sum()) + np.trace(sum(covariances) - 2 * root)
    assert distribution.frechet(clear, hidden) == pytest.approx(distance, abs=1e-3)
    kernels = (clear @ clear.T, clear @ hidden.T, hidden @ hidden.T)
    k_xx, k_xy, k_yy = ((k / clear.shape[1] + 1) ** 3 for k in kernels)
    off = [(k.sum() - k.trace()) / (50 * 49) for k in (k_xx, k_yy)]
    assert distribution.kid(clear, hidden) == pytest.approx(float(sum(off) - 2 * k_xy.mean()), abs=1e-12)


def test_embeddings_and_crops_are_insightfaces(faces: Faces, embedder: OnnxEmbedder, detector: Any) -> None:
    """From the picture to the embedding: insightface's alignment and its class for recognition."""
    from insightface.utils import face_align

    other = arcface(MODELS / EMBEDDERS["edgeface_xs"].path)
    assert (other.input_mean, other.input_std, other.input_size) == (127.5, 127.5, (112, 112))
    for row in range(0, 50, 7):
        picture = read_picture(LFW / faces.key[row]).pixels
        (best, *_) = detector.detect(picture)
        theirs = face_align.norm_crop(np.ascontiguousarray(picture[:, :, ::-1]), best.landmarks, 112)
        mine = align(picture, best.landmarks)
        assert np.abs(mine[:, :, ::-1].astype(int) - theirs).max() <= 2
        features = other.get_feat(theirs)[0]
        own = embedder(torch.from_numpy(mine).permute(2, 0, 1)[None])[0].numpy()
        assert float(own @ features) / math.sqrt(float(features @ features)) == pytest.approx(1, abs=1e-3)

"""Discriminant analysis against scipy's densities and a world drawn from its own model."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from evaluators.attackers.learning.plda import fit

PEOPLE, DIMENSION = 60, 12


def drawn(pictures: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Draw people and pictures of them from two random covariances, which are returned too."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(DIMENSION, DIMENSION)) / DIMENSION**0.5
    within = root @ root.T + 0.2 * np.eye(DIMENSION)
    between = np.diag([4.0] * 4 + [0.0] * (DIMENSION - 4))
    center = rng.multivariate_normal(np.zeros(DIMENSION), between, PEOPLE)
    noise = rng.multivariate_normal(np.zeros(DIMENSION), within, (PEOPLE, pictures))
    pictures_of = torch.from_numpy(center[:, None] + noise).float().flatten(0, 1)
    return pictures_of, torch.arange(PEOPLE).repeat_interleave(pictures), within, between


def test_the_likelihood_is_the_gaussian_predictive_of_its_own_covariances() -> None:
    x, person, _, _ = drawn(6)
    model = fit(x, person, PEOPLE, shrinkage=0.1)
    query = x[::7].double()
    count = 6
    # Back from the coordinates to the space of the pictures, where scipy computes with full matrices.
    rest = (x - torch.stack([x[person == p].mean(0) for p in range(PEOPLE)])[person]).double()
    within = (rest.T @ rest / (len(x) - PEOPLE)).numpy()
    within = 0.9 * within + 0.1 * np.trace(within) / DIMENSION * np.eye(DIMENSION)
    axes = within @ model.projection.double().numpy()  # columns: inverse of the projection on the telling subspace
    between = axes @ np.diag(model.between.double().numpy()) @ axes.T
    mean = x.double().mean(0).numpy()
    expected = np.empty((len(query), PEOPLE))
    for p in range(PEOPLE):
        gain = between @ np.linalg.inv(between + within / count)
        posterior = mean + gain @ (x[person == p].double().mean(0).numpy() - mean)
        spread = within + between - gain @ between
        expected[:, p] = multivariate_normal(posterior, spread).logpdf(query.numpy())
    got = model.log_likelihood(query.float()).double().numpy()
    expected -= expected.mean(1, keepdims=True)
    got -= got.mean(1, keepdims=True)
    np.testing.assert_allclose(got, expected, atol=2e-3 * np.abs(expected).max())


def test_it_finds_the_dimensions_in_which_people_differ() -> None:
    x, person, within, between = drawn(200)
    model = fit(x, person, PEOPLE, shrinkage=0.0)
    truth = np.sort(np.linalg.eigvals(np.linalg.solve(within, between)).real)[::-1]
    found = model.between.sort(descending=True).values.numpy()
    np.testing.assert_allclose(found[:4], truth[:4], rtol=0.6)
    assert (found[4:] < 0.02 * truth[3]).all()


def test_it_is_no_worse_than_scikit_learns_shrunken_discriminant() -> None:
    hits = []
    for seed in range(5):
        x, person, _, _ = drawn(8, seed)
        enrolled = torch.arange(len(x)) % 8 < 4
        model = fit(x[enrolled], person[enrolled], PEOPLE)
        theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.4).fit(x[enrolled].numpy(), person[enrolled])
        ours = model.log_likelihood(x[~enrolled]).argmax(1) == person[~enrolled]
        hits.append((float(ours.double().mean()), theirs.score(x[~enrolled].numpy(), person[~enrolled])))
    ours, theirs = np.mean(hits, axis=0)
    assert ours >= theirs - 0.01
    assert ours > 0.2


def test_rounding_is_no_trace_of_a_person() -> None:
    generator = torch.Generator().manual_seed(0)
    same = torch.nn.functional.normalize(torch.ones(300, 64) + 1e-6 * torch.randn(300, 64, generator=generator), dim=1)
    model = fit(same, torch.arange(60).repeat_interleave(5), 60)
    assert len(model.between) == 0

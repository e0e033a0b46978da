"""BoTorch's qNEHVI (Daulton et al., NeurIPS 2021, https://arxiv.org/abs/2105.08195), in its logarithmic form.

As in BoTorch's tutorial on it: 2 (d + 1) points at random, a process per objective, one candidate at a time; where the
configurations are few, the best of them by `optimize_acqf_discrete`. Runs in an environment with botorch.
"""

from __future__ import annotations

import torch
from asking import Asking, sweeps
from botorch import fit_gpytorch_mll
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf, optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from encoding import Candidates
from gpytorch.mlls import SumMarginalLogLikelihood
from torch import Tensor

torch.set_num_threads(1)


def proposed(asking: Asking, candidates: Candidates, x: Tensor, y: Tensor) -> Tensor:
    """Return the next point, given (n, d) points and their (n, m) gains."""
    model = ModelListGP(*(SingleTaskGP(x, one[:, None], outcome_transform=Standardize(m=1)) for one in y.T))
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        model=model,
        ref_point=[-one for one in asking.reference],
        X_baseline=x,
        prune_baseline=True,
        sampler=SobolQMCNormalSampler(sample_shape=torch.Size([64])),
    )
    if candidates.points is not None:
        return optimize_acqf_discrete(acquisition, q=1, choices=candidates.points, X_avoid=x)[0][0]
    bounds = torch.stack([torch.zeros(x.shape[1]), torch.ones(x.shape[1])]).double()
    return optimize_acqf(acquisition, bounds, q=1, num_restarts=5, raw_samples=128, options={"maxiter": 100})[0][0]


def run(asking: Asking) -> None:
    torch.manual_seed(asking.seed)
    candidates, last = Candidates(asking), len(asking.costs)
    # Of the encoded cube more dimensions are choices' than there are parameters: the tutorial's rule by these.
    waiting = list(candidates.first(2 * (min(candidates.dimensions, len(asking.parameters)) + 1)))
    x, y = [], []
    while asking.left:
        point = waiting.pop(0) if waiting else proposed(asking, candidates, torch.stack(x), torch.stack(y))
        x.append(point)
        y.append(-torch.tensor(asking.measured(candidates.configuration(point), last), dtype=torch.double))


for sweep in sweeps():
    run(sweep)

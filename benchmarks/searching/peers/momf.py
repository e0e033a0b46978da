"""BoTorch's MOMF (Irshad, Karsch and Döpp, 2021, https://arxiv.org/abs/2112.13901), its fidelity the stages.

As in BoTorch's tutorial on it: the fidelity, in (0, 1], is the last field and, as what is trusted, the last objective;
the gain in hypervolume is divided by the cost, which is here that of the stages. Some points at random, of random
fidelity, come first. Where the configurations are few, the best of all of them at all stages is taken by
`optimize_acqf_discrete`, else a point whose fidelity is brought to the nearest stage. Runs in an environment with
botorch.
"""

from __future__ import annotations

import torch
from asking import Asking, sweeps
from botorch import fit_gpytorch_mll
from botorch.acquisition.multi_objective.multi_fidelity import MOMF
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf, optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from encoding import Candidates
from gpytorch.mlls import SumMarginalLogLikelihood
from torch import Tensor

torch.set_num_threads(1)


def proposed(asking: Asking, candidates: Candidates, x: Tensor, y: Tensor) -> Tensor:
    """Return the next point with its fidelity, given (n, d + 1) points and their (n, m + 1) gains."""
    model = ModelListGP(*(SingleTaskGP(x, one[:, None], outcome_transform=Standardize(m=1)) for one in y.T))
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    reference = torch.tensor([*(-one for one in asking.reference), 0.0], dtype=torch.double)
    stages = len(asking.costs)
    costs = torch.tensor(asking.costs, dtype=torch.double)

    def cost(points: Tensor) -> Tensor:
        """Interpolate the cost of the stages at the fidelities, q by q."""
        place = (points[..., -1] * stages - 1).clamp(0, stages - 1)
        below = place.floor().long().clamp(max=max(0, stages - 2))
        share = place - below
        return (costs[below] * (1 - share) + costs[(below + 1).clamp(max=stages - 1)] * share)[..., None]

    acquisition = MOMF(
        model=model,
        ref_point=reference,
        partitioning=FastNondominatedPartitioning(ref_point=reference, Y=y),
        sampler=SobolQMCNormalSampler(sample_shape=torch.Size([64])),
        cost_call=cost,
    )
    if candidates.points is not None:
        fidelities = torch.arange(1, stages + 1, dtype=torch.double) / stages
        count = len(candidates.points)
        choices = torch.cat([candidates.points.repeat(stages, 1), fidelities.repeat_interleave(count)[:, None]], 1)
        return optimize_acqf_discrete(acquisition, q=1, choices=choices, X_avoid=x)[0][0]
    bounds = torch.stack([torch.zeros(x.shape[1]), torch.ones(x.shape[1])]).double()
    bounds[0, -1] = 1 / stages
    return optimize_acqf(acquisition, bounds, q=1, num_restarts=5, raw_samples=128, options={"maxiter": 100})[0][0]


def run(asking: Asking) -> None:
    torch.manual_seed(asking.seed)
    candidates, stages = Candidates(asking), len(asking.costs)
    first = candidates.first(2 * (min(candidates.dimensions, len(asking.parameters)) + 1))
    waiting = list(torch.cat([first, torch.randint(1, stages + 1, (len(first), 1)).double() / stages], 1))
    x, y = [], []
    while asking.left:
        point = waiting.pop(0) if waiting else proposed(asking, candidates, torch.stack(x), torch.stack(y))
        stage = min(stages, max(1, round(float(point[-1]) * stages)))
        gains = [-one for one in asking.measured(candidates.configuration(point[:-1]), stage)]
        x.append(torch.cat([point[:-1], torch.tensor([stage / stages], dtype=torch.double)]))
        y.append(torch.tensor([*gains, stage / stages], dtype=torch.double))


for sweep in sweeps():
    run(sweep)

"""Asked: the networks that training asks, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from anonymizers.training.truth import Embed, Read
from evaluators.networks.backends.torch_nets import TorchTeacher, without_strides
from evaluators.networks.catalog.conventions import TEACHERS
from evaluators.networks.roles import Nets
from evaluators.options import expected_one_of
from evaluators.zoo import load_nets
from orchestrator.train.task import Task

LEFT_OUT = {False: "demo_second_teacher", True: "faceapi"}
"""By whether faces are photographs: whom the losses of refined averages do not ask."""


def asked(task: Task) -> tuple[Nets, Embed, Read]:
    """Load the networks that training asks, and return their embedder and teacher with gradients."""
    nets = load_nets(task.networks, device=task.device, differentiable=True)
    assert nets.differentiable is not None
    if task.networks is not None and task.device == "cpu":
        without_strides(nets.teacher.module)  # type: ignore[attr-defined]
    return nets, nets.differentiable.embed, nets.teacher.read  # type: ignore[attr-defined]


def teachers_of(task: Task, nets: Nets) -> tuple[Mapping[str, Read], str]:
    """Return the teachers whom refining asks, name -> with gradients, and the name of the one whom it does not.

    Raises:
        ValueError: if the one who is left out is none of the judges, or nobody else is there.
    """
    if task.networks is None:
        known = {judge.name: judge.read for judge in nets.judges if hasattr(judge, "read")}
    else:
        folder, loaded = task.networks.folder, nets.teacher
        known = {}
        for name in (name for name in task.networks.judging if name in TEACHERS):
            net = loaded if name == loaded.name else TorchTeacher(folder, name, device=task.device)
            known[name] = net.read  # type: ignore[attr-defined]
    left_out = task.training.left_out or LEFT_OUT[task.networks is not None]
    if left_out not in known:
        raise ValueError(expected_one_of("--left-out", known, left_out))
    others = {name: read for name, read in known.items() if name != left_out}
    if not others:
        raise ValueError(f"--left-out {left_out}: expected another judge whom the losses can ask, got none; pull one")
    return others, left_out


def perceptual_of(nets: Nets) -> Callable[[Tensor, Tensor], Tensor]:
    """Return LPIPS where it was pulled, its shift-tolerant kin else, of pictures in [0, 255] and with gradients."""
    net = next((net for net in nets.perceptual if net.name == "lpips"), nets.perceptual[0])
    assert isinstance(net, nn.Module)
    return lambda a, b: net(a / 127.5 - 1, b / 127.5 - 1)

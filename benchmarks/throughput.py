"""Images per second of every network and back end, beside what the device could do at most.

    uv run python -m benchmarks.throughput [--device cuda] [--batch 8 --batch 64] [--precision float16]
        [--demo] [--models ../shared/models] [--panel]

Without --demo, --models and --panel it needs torch alone and imports neither Ray nor ONNX Runtime. IResNet-50 and -100,
the architectures of the published ArcFace models (Deng et al., CVPR 2019, https://arxiv.org/abs/1801.07698), get random
weights, which does not change their speed.

The roofline (Williams, Waterman and Patterson, CACM 2009) is measured, not looked up: the best rate of a matrix product
in the same precision, and of a copy in memory. Operations are counted by torch; bytes are those of the weights once and
of every layer's input and output, as if nothing were fused. The fraction is the least time that both allow, over the
time measured.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from orchestrator.cluster.code import commit_here

SIDE = 112
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SECONDS = 1.0
"""Each measurement repeats for about so long, in rounds; the best round counts."""
ROUNDS = 5
REPEATS = 5
MATRIX = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
COPIED = {"cpu": 2**26, "cuda": 2**30}
DEPTHS = {"iresnet50": (3, 4, 14, 3), "iresnet100": (3, 13, 30, 3)}
WIDTHS = (64, 128, 256, 512)


class Unit(nn.Module):
    """Normalize, convolve, bend and convolve around a shortcut, as IResNet does."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.short(x)
        return out


def iresnet(depths: tuple[int, ...]) -> nn.Sequential:
    """Build IResNet with random weights, (N, 3, 112, 112) -> (N, 512)."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)]
    inputs = 64
    for width, depth in zip(WIDTHS, depths, strict=True):
        for i in range(depth):
            layers.append(Unit(inputs, width, 2 if i == 0 else 1))
            inputs = width
    layers += [nn.BatchNorm2d(512), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Roof:
    """Hold what a device does at most: operations/s of a matrix product, bytes/s of a copy (read and written)."""

    operations: float
    bytes: float

    def seconds(self, operations: float, moved: float) -> float:
        """Return the least time for so many operations and bytes."""
        return max(operations / self.operations, moved / self.bytes)


@dataclass(frozen=True)
class Work:
    """Hold what one run of a module takes: operations, and bytes of weights and of every layer's input and output."""

    operations: float
    bytes: float


def synchronize(device: str) -> None:
    """Wait for a GPU."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Return the seconds of a call: the best of rounds, each of as many calls as fit."""
    call()
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    times = max(1, int(SECONDS / ROUNDS / max(1e-6, time.perf_counter() - start)))
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            call()
        synchronize(device)
        best = min(best, (time.perf_counter() - start) / times)
    return best


def roof_of(device: str, dtype: torch.dtype) -> Roof:
    """Measure what a device does at most."""
    kind = torch.device(device).type
    best = 0.0
    for size in MATRIX[kind]:
        a = torch.randn(size, size, device=device).to(dtype)
        out = torch.empty_like(a)

        def product(a: Tensor = a, out: Tensor = out) -> Tensor:
            return torch.mm(a, a, out=out)

        best = max(best, 2 * size**3 / seconds_of(product, device))
    source = torch.zeros(COPIED[kind], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Roof(best, 2 * COPIED[kind] / seconds_of(lambda: target.copy_(source), device))


def work_of(module: nn.Module, x: Tensor) -> Work:
    """Count the operations and bytes of one run."""
    moved = sum(weight.nbytes for weight in (*module.parameters(), *module.buffers()))
    hooks = []

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        moved += sum(t.nbytes for t in inputs if isinstance(t, Tensor)) + output.nbytes

    for layer in module.modules():
        if not list(layer.children()) and not isinstance(layer, nn.Identity | nn.Flatten):
            hooks.append(layer.register_forward_hook(count))
    with FlopCounterMode(display=False) as counter:
        module(x)
    for hook in hooks:
        hook.remove()
    return Work(float(counter.get_total_flops()), float(moved))


def row(name: str, backend: str, precision: str, batch: int, rate: float, work: Work | None, roof: Roof | None) -> str:
    """Lay out a line of the table."""
    line = f"| {name} | {backend} | {precision} | {batch} | {rate:,.0f} |"
    if work is None or roof is None:
        return line + " | | |"
    fraction = roof.seconds(work.operations, work.bytes) * rate / batch
    return (
        line
        + f" {work.operations / batch / 1e9:.2f} | {work.operations / batch * rate / 1e12:.3f} "
        + f"({work.operations / batch * rate / roof.operations:.2f}) | {fraction:.2f} |"
    )


@torch.inference_mode()
def architectures(device: str, precisions: list[str], batches: list[int]) -> None:
    """Time the architectures with random weights; on a GPU as one graph."""
    from evaluators.networks.backends.captured import Captured

    for name, depths in DEPTHS.items():
        for precision in precisions:
            dtype = PRECISIONS[precision]
            roof = roof_of(device, dtype)
            net = iresnet(depths).eval().to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for batch in batches:
                x = torch.randn(batch, 3, SIDE, SIDE, device=device).to(dtype, memory_format=torch.channels_last)
                work = work_of(net, x)
                run: Callable[[], object] = lambda net=net, x=x: net(x)  # noqa: E731
                backend = "torch"
                if torch.device(device).type == "cuda":
                    graph = Captured(lambda t, net=net: (net(t),), x)
                    run, backend = (lambda graph=graph, x=x: graph(x)), "torch, one graph"  # type: ignore[misc]
                rate = batch / seconds_of(run, device)
                print(row(name, backend, precision, batch, rate, work, roof), flush=True)


def networks(nets: dict[str, Callable[[Tensor], object]], backend: str, device: str, batches: list[int]) -> None:
    """Time networks as the panel calls them: uint8 pictures in, answers out, feeding and batches included."""
    for name, net in nets.items():
        for batch in batches:
            x = torch.randint(0, 256, (batch, 3, SIDE, SIDE), dtype=torch.uint8, device=device)
            rate = batch / seconds_of(lambda net=net, x=x: net(x), device)
            print(row(name, backend, "float32", batch, rate, None, None), flush=True)


def demo(device: str, batches: list[int]) -> None:
    """Time the demo networks and ST-LPIPS."""
    from evaluators.zoo import load_nets

    nets = load_nets(None, device=device)
    (perceptual,) = nets.perceptual
    networks(
        {"demo_embedder": nets.embedder, "demo_teacher": nets.teacher, "st_lpips, features": perceptual.features},
        "torch",
        device,
        batches,
    )


def zoo(models: Path, device: str, batches: list[int]) -> None:
    """Time every real network that is there, by both back ends."""
    from evaluators.networks.backends.onnx_nets import OnnxEmbedder, OnnxTeacher
    from evaluators.networks.backends.torch_nets import TorchEmbedder, TorchTeacher
    from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS

    for table, by_onnx, by_torch in ((EMBEDDERS, OnnxEmbedder, TorchEmbedder), (TEACHERS, OnnxTeacher, TorchTeacher)):
        for name, convention in table.items():
            if (models / convention.path).is_file():
                networks({name: by_onnx(models, name, device=device)}, "onnx", device, batches)
                networks({name: by_torch(models, name, device=device)}, "torch", device, batches)


@contextlib.contextmanager
def overheard(nets: Sequence[Any]) -> Iterator[list[tuple[Any, Tensor]]]:
    """Note which network is asked about which pictures."""
    asked: list[tuple[Any, Tensor]] = []

    def noting(call: Callable[[Any, Tensor], Any]) -> Callable[[Any, Tensor], Any]:
        def noted(net: Any, images: Tensor) -> Any:
            asked.append((net, images))
            return call(net, images)

        return noted

    with contextlib.ExitStack() as patches:
        for kind in {type(net) for net in nets}:
            patches.enter_context(mock.patch.object(kind, "__call__", noting(kind.__call__)))
        yield asked


def panel_ratio(faces: int, device: str = "cpu") -> tuple[float, float, float]:
    """Return s of `panel.score`, s of the bare forward passes it makes, and the median of their paired ratios.

    On a CPU the seconds are its own, which others on the machine lengthen less.
    """
    from anonymizers import Blur
    from evaluators.demo.protocol import demo_protocol
    from evaluators.panel import Panel
    from evaluators.zoo import load_nets

    protocol = demo_protocol(evaluated=faces // 5, pictures=10, attacker=100)
    nets = load_nets(None, device=device)
    panel = Panel(protocol, nets, device=device)
    (perceptual,) = nets.perceptual
    watched = (nets.embedder, *(judge for judge in nets.judges if hasattr(judge, "module")))
    clock = time.process_time if device == "cpu" else time.perf_counter
    scores, passes = [], []
    for repeat in range(REPEATS):
        with overheard(watched) as asked:
            start = clock()
            panel.score(Blur(kernel=31 + 2 * repeat))  # another point each time, past the cache
            synchronize(device)
            scores.append(clock() - start)
        start = clock()
        with torch.inference_mode():
            for net, images in asked:
                net(images)
            perceptual.features(protocol.probe.images.to(device))
        synchronize(device)
        passes.append(clock() - start)
    counts: Counter[str] = Counter()
    for net, images in asked:
        counts[net.name] += len(images)
    print("passes of a trial: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    ratios = [score / bare for score, bare in zip(scores, passes, strict=True)]
    return statistics.median(scores), statistics.median(passes), statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, action="append", help="pictures at a time; may be repeated")
    parser.add_argument("--precision", choices=PRECISIONS, action="append", help="may be repeated")
    parser.add_argument("--demo", action="store_true", help="the demo networks too")
    parser.add_argument("--models", type=Path, help="folder of real networks: those too, by both back ends")
    parser.add_argument("--panel", action="store_true", help="the panel against the bare passes that it needs, too")
    chosen = parser.parse_args()
    cuda = torch.device(chosen.device).type == "cuda"
    if cuda and not torch.cuda.is_available():
        raise SystemExit("--device cuda: expected a GPU that torch sees, got none; use --device cpu")
    batches = chosen.batch or ([1, 64, 256] if cuda else [1, 8, 64])
    precisions = chosen.precision or (list(PRECISIONS) if cuda else ["float32"])
    commit = commit_here()
    name = torch.cuda.get_device_name() if cuda else f"{platform.machine()}, {torch.get_num_threads()} threads"
    print(f"{name}, torch {torch.__version__}, commit {commit}, {SIDE} px")
    for precision in precisions:
        roof = roof_of(chosen.device, PRECISIONS[precision])
        print(f"{precision}: matrix product {roof.operations / 1e12:.3f} TFLOP/s, copy {roof.bytes / 1e9:.1f} GB/s")
    print("| network | back end | precision | batch | images/s | GFLOP/image | TFLOP/s (of the product) | roofline |")
    print("|---|---|---|---|---|---|---|---|")
    architectures(chosen.device, precisions, batches)
    if chosen.demo:
        demo(chosen.device, batches)
    if chosen.models:
        zoo(chosen.models, chosen.device, batches)
    if chosen.panel:
        score, bare, ratio = panel_ratio(500, chosen.device)
        print(f"panel.score on 500 probes: {score:.2f} s, bare passes {bare:.2f} s, ratio {ratio:.3f} (goal 1.2)")


if __name__ == "__main__":
    main()

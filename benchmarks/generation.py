"""Faces per second of each generator: batch sizes, precisions; ratios to the first row of each. And of whole methods.

    python -m benchmarks.generation [--device cuda] [--methods]

The networks run with random weights, which cost the same, without drawing what they are told and without resizing;
`anonymizer` is a whole method as a panel calls it: our generator with its own weights, averages of other people.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from anonymizers import Anonymizer, Context, Donors, Generator, KSame, Refined
from anonymizers.classical.averaging.bank import bank_of
from anonymizers.generative.conditioning import inputs
from anonymizers.generative.nets.ciagan_net import IDENTITIES, CiaganGenerator
from anonymizers.generative.nets.deep_privacy2_net import STYLE, DeepPrivacy2Generator
from anonymizers.generative.nets.noisy_unet import CODES, INPUT, NoisyUNet, sample
from anonymizers.generative.nets.pix2pix import Pix2PixUNet
from evaluators.demo.faces import people
from evaluators.demo.nets import load_demo_embedder
from evaluators.demo.protocol import faces_of
from orchestrator.cluster.code import commit_here

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def makers(device: str) -> Mapping[str, Callable[[int, torch.dtype], Callable[[], Tensor]]]:
    def ours(width: int) -> Callable[[int, torch.dtype], Callable[[], Tensor]]:
        def make(n: int, dtype: torch.dtype) -> Callable[[], Tensor]:
            net = NoisyUNet(inputs=inputs("both"), dimension=128, width=width).eval().to(device, dtype)
            shown = torch.rand(n, inputs("both"), INPUT, INPUT, device=device, dtype=dtype)
            noise = [torch.randn(n, c, s, s, device=device) for c, s in CODES]
            target = torch.nn.functional.normalize(torch.randn(n, 128, device=device)).to(dtype)
            return lambda: net.decode(sample(net.encode(shown), noise), target, target[:, :0])

        return make

    def ganonymization(n: int, dtype: torch.dtype) -> Callable[[], Tensor]:
        net, drawing = Pix2PixUNet().eval().to(device, dtype), torch.rand(n, 3, 512, 512, device=device, dtype=dtype)
        return lambda: net(drawing)

    def ciagan(n: int, dtype: torch.dtype) -> Callable[[], Tensor]:
        net, given = CiaganGenerator().eval().to(device, dtype), torch.rand(n, 6, 128, 128, device=device, dtype=dtype)
        who = torch.zeros(n, IDENTITIES, device=device, dtype=dtype)
        return lambda: net(given, who)

    def deep_privacy2(n: int, dtype: torch.dtype) -> Callable[[], Tensor]:
        net = DeepPrivacy2Generator().eval().to(device, dtype)
        picture, known = (torch.rand(n, c, 128, 128, device=device, dtype=dtype) for c in (3, 1))
        style = torch.randn(n, STYLE, device=device, dtype=dtype)
        return lambda: net(picture, known, style)

    return {
        "ours, 0.9 M": ours(16),
        "ours, width 40, 5.3 M": ours(40),
        "ganonymization, 54 M, 512 px": ganonymization,
        "ciagan, 12 M": ciagan,
        "deep_privacy2, 43 M": deep_privacy2,
    }


def rate(run: Callable[[], Tensor], n: int, seconds: float, device: str) -> float:
    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    with torch.inference_mode():
        run()
        wait()
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < seconds or done < 2 * n:
            run()
            wait()
            done += n
        return done / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each cell")
    parser.add_argument("--batch", type=int, action="append", help="default: 1, 8, 64")
    parser.add_argument("--precision", choices=PRECISIONS, action="append")
    parser.add_argument("--methods", action="store_true", help="whole methods alone, no bare networks")
    chosen = parser.parse_args()
    precisions = chosen.precision or (["float32", "bfloat16"] if chosen.device == "cpu" else ["float32", "float16"])
    sizes = chosen.batch or [1, 8, 64]
    commit = commit_here()
    place = torch.cuda.get_device_name() if chosen.device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"faces/s on {place}, torch {torch.__version__}, commit {commit}; in brackets the ratio to the first")
    if not chosen.methods:
        print("| generator | " + " | ".join(f"{p}, {n}" for p in precisions for n in sizes) + " |")
    for name, make in makers(chosen.device).items() if not chosen.methods else ():
        cells: list[float] = []
        for precision in precisions:
            cells += [rate(make(n, PRECISIONS[precision]), n, chosen.seconds, chosen.device) for n in sizes]
        told = " | ".join(f"{cell:.3g} ({cell / cells[0]:.2f})" for cell in cells)
        print(f"| {name} | {told} |", flush=True)
    faces = faces_of(people(40_000, 32, 2)).to(chosen.device)
    background = faces_of(people(41_000, 120, 6)).to(chosen.device)
    context = Context(embed=load_demo_embedder(chosen.device).embed, embedder="demo_embedder", background=background)
    start = time.perf_counter()
    bank = bank_of(background)
    print(
        f"bank of {len(bank.pictures)} faces of {bank.people} people: {time.perf_counter() - start:.1f} s, "
        f"{bank.size / 1e6:.0f} MB"
    )
    methods: tuple[Anonymizer, ...] = (
        *(Generator(candidates=candidates) for candidates in (1, 4)),
        *(Donors(k=k) for k in (5, 20, 50)),
        Donors(shape="model"),
        Refined(),
        KSame(k=20),
    )
    for method in methods:
        whole = rate(functools.partial(method, faces, context), len(faces), chosen.seconds, chosen.device)
        print(f"| anonymizer, {method!r} | {whole:.3g} |")


if __name__ == "__main__":
    main()

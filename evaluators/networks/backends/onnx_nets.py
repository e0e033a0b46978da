"""Real networks by ONNX Runtime, on the CPU or on a GPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state
from torch import Tensor
from torch.nn import functional

from anonymizers.base import padded
from evaluators.networks.backends.feeding import feed, pooled
from evaluators.networks.backends.last_layer import reading, with_outputs
from evaluators.networks.backends.memory import halved
from evaluators.networks.catalog.conventions import EMBEDDERS, TEACHERS, Convention, checked, digest_here, known
from evaluators.networks.roles import TeacherOutput

BATCH = {"cpu": 8, "cuda": 64}
"""Faces per run: on a CPU the tensors of more no longer fit its caches, and each face costs up to half more."""
ARENA_BYTES = 4 * 2**30
"""Most that one network's arena on a GPU may grow to."""


TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(uint8)": torch.uint8,
}
"""Types of inputs and outputs, by ONNX Runtime's names."""
ONNX_ERRORS = tuple(
    getattr(onnxruntime_pybind11_state, name)
    for name in ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
)
"""What ONNX Runtime raises on files and pictures that do not fit it."""


class _OnnxNet:
    """Keep one ONNX Runtime session and the convention of its file."""

    def __init__(
        self,
        folder: Path,
        name: str,
        convention: Convention,
        *,
        threads: int | None,
        device: str,
        outputs: tuple[str, ...],
        fixed: bool | None = None,
    ) -> None:
        path = checked(folder / convention.path, *convention.digests)
        self.name = name
        self.digest = digest_here(folder, convention)
        self.convention = convention
        self.device = torch.device(device)
        self.batch = convention.batch or BATCH[self.device.type]
        self.fixed = bool(convention.batch) or (self.device.type == "cuda" if fixed is None else fixed)
        try:
            self.session = session(with_outputs(path, outputs).SerializeToString(), threads=threads, device=device)
        except ONNX_ERRORS as error:
            raise ValueError(f"{path}: expected a network that ONNX Runtime opens: {error}") from error
        self.outputs = list(outputs) or [self.session.get_outputs()[0].name]
        self.input = self.session.get_inputs()[0].name
        self.types = {v.name: v.type for v in (*self.session.get_inputs(), *self.session.get_outputs())}
        self.shapes: dict[int, list[tuple[int, ...]]] = {}

    def halve(self) -> bool:
        """Halve the batch, unless the file fixes it; tell whether that was possible."""
        before, self.batch = self.batch, halved(self.batch, fixed=bool(self.convention.batch))
        return self.batch < before

    @torch.no_grad()
    def run(self, images: Tensor) -> list[Tensor]:
        """Run on (N, 3, S, S) uint8 pictures, in batches; returns the outputs, float32, on the net's device."""
        parts = [self._batch(part) for part in images.to(self.device).split(self.batch)]
        return [torch.cat(out) for out in zip(*parts, strict=True)]

    def _batch(self, images: Tensor) -> list[Tensor]:
        """Run on at most one batch; where shapes are fixed, repeat the last picture up to the whole of it."""
        count = len(images)
        if self.fixed:
            images = padded(images, self.batch)
        return [out[:count].float() for out in self._bound(self._typed(feed(images, self.convention)))]

    def _typed(self, x: Tensor) -> Tensor:
        """Bring float32 to the type that the file takes."""
        wanted = TYPES[self.types[self.input]]
        return (x.round().clamp(0, 255) if wanted == torch.uint8 else x).to(wanted)

    def _bound(self, x: Tensor) -> list[Tensor]:
        """Let the session read and write torch's own memory, so that on a GPU nothing passes through the host."""
        if len(x) not in self.shapes:
            binding = self._binding(x)
            for name in self.outputs:
                binding.bind_output(name, x.device.type, x.device.index or 0)
            self.session.run_with_iobinding(binding)
            self.shapes[len(x)] = [tuple(value.shape()) for value in binding.get_outputs()]
        binding, out = self._binding(x), []
        for name, shape in zip(self.outputs, self.shapes[len(x)], strict=True):
            value = torch.empty(shape, device=x.device, dtype=TYPES[self.types[name]])
            binding.bind_output(name, x.device.type, x.device.index or 0, _numpy(value), value.shape, value.data_ptr())
            out.append(value)
        if x.is_cuda:
            torch.cuda.current_stream(x.device).synchronize()  # the session works on a stream of its own
        self.session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return out

    def _binding(self, x: Tensor) -> onnxruntime.IOBinding:
        binding = self.session.io_binding()
        binding.bind_input(self.input, x.device.type, x.device.index or 0, _numpy(x), x.shape, x.data_ptr())
        return binding


class OnnxEmbedder(_OnnxNet):
    """Embed faces with a network of EMBEDDERS, or of a convention that is given."""

    def __init__(
        self,
        folder: Path,
        name: str,
        convention: Convention | None = None,
        *,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        convention = convention or known(EMBEDDERS, name)
        super().__init__(folder, name, convention, threads=threads, device=device, outputs=())

    def __call__(self, images: Tensor) -> Tensor:
        """Map (N, 3, S, S) uint8 RGB aligned faces to (N, D) float32 of unit norm."""
        return functional.normalize(self.run(images)[0].flatten(1), dim=1)


class OnnxTeacher(_OnnxNet):
    """Read expressions with a network of TEACHERS."""

    def __init__(self, folder: Path, name: str, *, threads: int | None = None, device: str = "cpu") -> None:
        convention = known(TEACHERS, name)
        outputs = reading(folder, convention)
        super().__init__(folder, name, convention, threads=threads, device=device, outputs=outputs)
        self.classes = convention.classes

    def __call__(self, images: Tensor) -> TeacherOutput:
        """Map (N, 3, S, S) uint8 RGB aligned faces to logits (N, C) and pooled features (N, F)."""
        return TeacherOutput(*self.run(images))

    def _batch(self, images: Tensor) -> list[Tensor]:
        logits, features = super()._batch(images)
        return [logits, pooled(features)]  # batch by batch: the maps of all faces would fill the memory


def _numpy(x: Tensor) -> str:
    """Return the name of a tensor's type as numpy has it."""
    return str(x.dtype).removeprefix("torch.")


def session(model: bytes, *, threads: int | None, device: str) -> onnxruntime.InferenceSession:
    """Start a session on the CPU, or on a GPU and nowhere else.

    Raises:
        ValueError: if a GPU was asked for and ONNX Runtime does not get it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or torch.get_num_threads()
    wanted = "CUDAExecutionProvider" if device.startswith("cuda") else "CPUExecutionProvider"
    # Shapes are fixed on a GPU: it pays to search for the fastest convolutions, and memory need not grow ahead.
    bounds: dict[str, str] = {}
    if wanted == "CUDAExecutionProvider":
        bounds = {
            "device_id": str(torch.device(device).index or 0),
            "gpu_mem_limit": str(ARENA_BYTES),
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
        }
    made = onnxruntime.InferenceSession(model, options, providers=[(wanted, bounds)])
    if wanted not in made.get_providers():
        raise ValueError(f"--device {device}: expected ONNX Runtime's {wanted}, got {made.get_providers()}")
    return made

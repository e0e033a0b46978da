"""Real networks by ONNX Runtime, on the CPU or on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from evaluators.conventions import EMBEDDERS, TEACHERS, Convention, checked, known
from evaluators.last_layer import last_layer
from evaluators.nets import TeacherOutput

BATCH = {"cpu": 8, "cuda": 64}
"""Faces per run: on a CPU the tensors of more no longer fit its caches, and each face costs up to half more."""
LUMA = (0.299, 0.587, 0.114)


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
    ) -> None:
        path = checked(folder / convention.path, convention.sha256)
        self.name = name
        self.digest = convention.sha256
        self.convention = convention
        self.device = torch.device(device)
        self.batch = convention.batch or BATCH[self.device.type]
        model = onnx.load(path)
        present = {output.name for output in model.graph.output}
        for output in outputs:
            if output not in present:
                model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
        self.session = session(model.SerializeToString(), threads=threads, device=device)
        self.outputs = list(outputs) or [self.session.get_outputs()[0].name]
        self.input = self.session.get_inputs()[0].name

    def run(self, images: Tensor) -> list[Tensor]:
        """Run on (N, 3, S, S) uint8 pictures, in batches; returns the outputs, float32, on the net's device."""
        parts = [self.session.run(self.outputs, {self.input: self.pixels(part)}) for part in images.split(self.batch)]
        return [torch.from_numpy(np.concatenate(out)).to(self.device) for out in zip(*parts, strict=True)]

    def pixels(self, images: Tensor) -> NDArray[np.float32]:
        """Bring (N, 3, S, S) uint8 pictures to the net's size, color, range and layout."""
        want = self.convention
        x = images.float()
        if x.shape[-1] != want.size:
            x = functional.interpolate(
                x, size=(want.size, want.size), mode="bilinear", antialias=x.shape[-1] > want.size
            )
        if want.gray:
            x = (x * torch.tensor(LUMA, device=x.device)[:, None, None]).sum(1, keepdim=True)
        x = want.normalize(x)
        if want.channels_last:
            x = x.permute(0, 2, 3, 1)
        return np.ascontiguousarray(x.cpu().numpy())


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
        return functional.normalize(self.run(images)[0], dim=1)


class OnnxTeacher(_OnnxNet):
    """Read expressions with a network of TEACHERS."""

    def __init__(self, folder: Path, name: str, *, threads: int | None = None, device: str = "cpu") -> None:
        convention = known(TEACHERS, name)
        path = checked(folder / convention.path, convention.sha256)
        outputs = (convention.logits, convention.features)
        if not convention.features:
            outputs = last_layer(path, convention.logits)
        super().__init__(folder, name, convention, threads=threads, device=device, outputs=outputs)
        self.classes = convention.classes

    def __call__(self, images: Tensor) -> TeacherOutput:
        """Map (N, 3, S, S) uint8 RGB aligned faces to logits (N, C) and pooled features (N, F)."""
        logits, features = zip(*(self._batch(part) for part in images.split(self.batch)), strict=True)
        return TeacherOutput(torch.cat(logits), torch.cat(features))

    def _batch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.run(images)
        if features.ndim > 2:  # a map, pooled batch by batch: the maps of all faces would fill the memory
            features = features.mean((2, 3))
        return logits, features


def session(model: bytes, *, threads: int | None, device: str) -> onnxruntime.InferenceSession:
    """Start a session on the CPU, or on a GPU and nowhere else.

    Raises:
        ValueError: if a GPU was asked for and ONNX Runtime does not get it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or torch.get_num_threads()
    wanted = "CUDAExecutionProvider" if device.startswith("cuda") else "CPUExecutionProvider"
    made = onnxruntime.InferenceSession(model, options, providers=[wanted])
    if wanted not in made.get_providers():
        raise ValueError(f"--device {device}: expected ONNX Runtime's {wanted}, got {made.get_providers()}")
    return made

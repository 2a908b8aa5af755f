"""Open networks whose answers are training targets; their files stay outside the project.

Origins, crops and colour orders: ``teachers/README.md`` of the shared data.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch.nn import functional as F

from ..detector.predict import open_session
from ..geometry import clip_box

FILES = ("2.7_80x80_MiniFASNetV2.onnx", "4_0_0_80x80_MiniFASNetV1SE.onnx", "minifas_1.5.onnx")
# The last map of each, n x 128 x h x w, and what its answer is linear in, n x 128.
LAST_MAP, LAST_EMBEDDING = "/conv_5/model/model.1/Add_output_0", "/bn/BatchNormalization_output_0"
# Mean and standard deviation of each teacher's live logit over the labelled training images: the logits are added
# standardised. An earlier run of ``python -m training.spoof.calibrate_teachers`` printed them; today it prints
# (-2.016, 4.714), (-2.209, 4.543), (-3.885, 4.767) and an offset of -0.05.
STATISTICS = ((-2.014, 4.712), (-2.207, 4.542), (-3.875, 4.773))
# P(live) = sigmoid(SLOPE * mean standardised logit + OFFSET), fitted on the same images.
SLOPE, OFFSET = 2.45, -0.04


def _shifted(image: np.ndarray, box: np.ndarray, scale: float) -> np.ndarray:
    """Silent-Face-Anti-Spoofing's crop: reduced where the image ends, then shifted inside."""
    height, width = image.shape[:2]
    x, y, w, h = box
    scale = min((height - 1) / h, (width - 1) / w, scale)
    cw, ch = w * scale, h * scale
    left = min(max(x + w / 2 - cw / 2, 0), width - 1 - cw)
    top = min(max(y + h / 2 - ch / 2, 0), height - 1 - ch)
    region = image[int(top) : int(top + ch) + 1, int(left) : int(left + cw) + 1]
    return cv2.resize(region, (80, 80))


def _reflected(image: np.ndarray, box: np.ndarray, scale: float = 1.5, size: int = 128) -> np.ndarray:
    """MiniFAS's crop: a square with mirrored borders."""
    height, width = image.shape[:2]
    x, y, w, h = box
    side = int(max(w, h) * scale)
    left, top = int(x + w / 2 - side / 2), int(y + h / 2 - side / 2)
    inside = image[max(top, 0) : min(top + side, height), max(left, 0) : min(left + side, width)]
    margins = (max(-top, 0), max(top + side - height, 0), max(-left, 0), max(left + side - width, 0))
    mode = cv2.INTER_LANCZOS4 if side < size else cv2.INTER_AREA
    return cv2.resize(cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REFLECT_101), (size, size), interpolation=mode)


def views(image: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
    """What each teacher sees of an RGB image and a face box x, y, w, h: uint8 RGB squares."""
    box = clip_box(box, image.shape[1], image.shape[0])
    return [_shifted(image, box, 2.7), _shifted(image, box, 4.0), _reflected(image, box)]


def seen_in(mirrored: torch.Tensor, context: torch.Tensor) -> list[torch.Tensor]:
    """What each teacher is shown of the very crops that the networks see: uint8 RGB n x h x w x 3.

    A function is learned faster from the same pixels, and what one crop shows more than another cannot be learned. The
    first two teachers get the scale of the networks (3.2) instead of 2.7 and 4.0, and no aliasing. The third one gets the
    tight crop with mirrored borders, as it was trained with: what a network sees where the image ends soon, a larger
    face, it judges at random (MODEL_CARD.md has the figures).
    """
    small = F.interpolate(context.permute(0, 3, 1, 2), (80, 80), mode="bilinear", antialias=True).permute(0, 2, 3, 1)
    return [small, small, mirrored]


def _live_logit(number: int, raw: torch.Tensor) -> torch.Tensor:
    """Live log-odds from the outputs n x classes of a teacher."""
    if number == 2:
        return (raw[:, 0] - raw[:, 1]).clip(-9, 9)
    p = raw.softmax(1)[:, 1]
    return ((p + 1e-4) / (1 - p + 1e-4)).log()


class Told(NamedTuple):
    """What teachers say of n pictures: live log-odds n x 3, and of each teacher its last map and embedding."""

    answers: torch.Tensor
    maps: list[torch.Tensor]
    embeddings: list[torch.Tensor]


def _opened(path: Path) -> onnxruntime.InferenceSession:
    """A teacher that gives its last map and embedding beside its outputs."""
    model = onnx.load(str(path))
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in (LAST_MAP, LAST_EMBEDDING))
    return open_session(model.SerializeToString())


def _run(session: onnxruntime.InferenceSession, x: np.ndarray) -> list[np.ndarray]:
    return session.run(None, {session.get_inputs()[0].name: x})


class Teachers:
    """The three teachers in ONNX Runtime; not thread-safe, one instance per process."""

    def __init__(self, folder: str | Path, threads: int = 1):
        self._sessions = [_opened(Path(folder) / name) for name in FILES]
        self._threads = ThreadPoolExecutor(threads)

    def logits(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Live log-odds of each teacher for an RGB image and a face box x, y, w, h."""
        return self.told([torch.from_numpy(view[None]) for view in views(image, box)]).answers[0].numpy()

    def told(self, seen: list[torch.Tensor]) -> Told:
        """Of uint8 batches of ``views`` or ``seen_in``: one tensor for each teacher."""
        out = []
        for number, (session, batch) in enumerate(zip(self._sessions, seen, strict=True)):
            x = _as_input(number, batch).numpy()
            # Two of the files are made for one image at a time, and threads for several images are a third faster than
            # threads within one.
            each = self._threads.map(partial(_run, session), np.split(x, len(x)))
            out.append([torch.from_numpy(np.concatenate(parts)) for parts in zip(*each, strict=True)])
        return _told(out)


def _told(outputs: list[list[torch.Tensor]]) -> Told:
    """From raw output, last map and embedding of each teacher."""
    raw, maps, embeddings = (list(values) for values in zip(*outputs, strict=True))
    return Told(torch.stack([_live_logit(number, values) for number, values in enumerate(raw)], 1), maps, embeddings)


def _as_input(number: int, seen: torch.Tensor) -> torch.Tensor:
    """uint8 RGB n x h x w x 3 to the float n x 3 x h x w that a teacher wants."""
    x = seen.permute(0, 3, 1, 2).float()
    return (x / 255 if number == 2 else x.flip(1)).contiguous()


class _Graph:
    """An ONNX file run by PyTorch, so that it computes where the students do, in batches.

    Knows the operators that the three teachers consist of, and no others.
    """

    def __init__(self, path: Path, device: str):
        graph = onnx.load(str(path)).graph
        self._device, self._input, self._output = device, graph.input[0].name, graph.output[0].name
        self._constants = {}
        for tensor in graph.initializer:
            values = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            self._constants[tensor.name] = values.to(device)
        self._steps = [step for node in graph.node if (step := self._step(node))]

    def _step(self, node: onnx.NodeProto) -> tuple[Callable, list[str], str] | None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type in ("Shape", "Gather", "Unsqueeze", "Concat"):
            return None  # they only compute the shape that Reshape flattens to
        if node.op_type == "Reshape":
            return lambda x: x.flatten(1), [node.input[0]], node.output[0]
        return self._operator(node.op_type, attributes), list(node.input), node.output[0]

    def _operator(self, kind: str, attributes: dict) -> Callable:
        if kind == "Conv":
            top, left, bottom, right = attributes["pads"]
            if (top, left) != (bottom, right):
                raise ValueError("uneven padding is not known")
            return lambda x, w, b=None: F.conv2d(x, w, b, attributes["strides"], (top, left), 1, attributes["group"])
        if kind == "BatchNormalization":
            return lambda x, scale, shift, mean, var: (x - mean) * (scale * (var + attributes["epsilon"]).rsqrt()) + shift
        return {
            "PRelu": lambda x, slope: F.prelu(x, slope.flatten().to(x.dtype)),
            "Add": torch.add, "Mul": torch.mul, "MatMul": torch.matmul, "Relu": torch.relu, "Sigmoid": torch.sigmoid,
            "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
        }[kind]  # fmt: skip

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Its output, last map and embedding."""
        values = dict(self._constants)
        values[self._input] = x
        for operator, inputs, output in self._steps:
            values[output] = operator(*(values[name] for name in inputs))
        return [values[name].float() for name in (self._output, LAST_MAP, LAST_EMBEDDING)]


class TorchTeachers:
    """The three teachers in PyTorch, on the GPU that trains the students."""

    def __init__(self, folder: str | Path, device: str):
        self._graphs, self._device = [_Graph(Path(folder) / name, device) for name in FILES], device

    @torch.no_grad()
    def told(self, seen: list[torch.Tensor]) -> Told:
        """Of uint8 batches of ``views`` or ``seen_in`` on the device: one tensor for each teacher."""
        out = []
        for number, (graph, batch) in enumerate(zip(self._graphs, seen, strict=True)):
            x = _as_input(number, batch).to(memory_format=torch.channels_last)
            with torch.autocast(self._device, torch.float16, enabled=self._device == "cuda"):
                out.append(graph(x))
        return _told(out)


def teachers_on(device: str, folder: str | Path) -> Teachers | TorchTeachers:
    """The faster of both on a device: ONNX Runtime takes half of PyTorch's time on a processor."""
    return Teachers(folder, torch.get_num_threads()) if device == "cpu" else TorchTeachers(folder, device)


def standardise(logits: torch.Tensor) -> torch.Tensor:
    """Logits ... x 3 with each teacher's mean and deviation taken out."""
    mean, deviation = torch.tensor(STATISTICS, device=logits.device).T
    return (logits - mean) / deviation


def combine(logits: torch.Tensor) -> torch.Tensor:
    """Teachers added: standardised logits averaged and calibrated to P(live); ... x 3 to ..."""
    return torch.sigmoid(SLOPE * standardise(logits).mean(-1) + OFFSET)

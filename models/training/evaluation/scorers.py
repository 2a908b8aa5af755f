"""What judges presentations: the networks, the built library, the teachers."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ..export import MODELS, read_manifest
from ..geometry import to_input
from ..spoof.evaluate import crops_of, judged, live_logits, onnx_logits, sigmoid
from ..spoof.teachers import Teachers, combine
from .presentations import Presentation, read

BINDING = MODELS.parent / "bindings" / "python" / "src"
TEACHERS = ("MiniFASNetV2 2.7", "MiniFASNetV1SE 4.0", "MiniFAS 1.5")
Logits = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """P(bona fide), or the reason why there is none (a non-response in ISO/IEC 30107-3)."""

    probability: float | None
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict, repr=False)


class Scorer(Protocol):
    threshold: float
    identity: dict[str, Any]

    def __call__(self, presentations: Sequence[Presentation]) -> list[Outcome]: ...


class Fusion:
    """The liveness networks of a manifest: after each look their live logits, means over the views so far, are
    weighted and added; another look follows, by how much doubt there is."""

    def __init__(self, networks: list[dict], looks: list[dict], runs: dict[str, Logits]):
        self.networks, self.looks, self._runs = networks, looks, runs

    @classmethod
    def shipped(cls, models: Path) -> Fusion:
        """The ONNX files in a folder with a manifest.json."""
        spoof = read_manifest(models)["spoof"]
        runs = {n["name"]: onnx_logits(models / n["file"]) for n in spoof["networks"]}
        return cls(spoof["networks"], spoof["looks"], runs)

    def judge(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """P(bona fide) per box of an RGB image, and after how many looks."""
        crops = [crops_of(image, box, self.networks) for box in boxes]
        seen = {name: live_logits(np.stack([c[name] for c in crops]), run) for name, run in self._runs.items()}
        logits, taken = judged(seen, self.networks, self.looks)
        return sigmoid(logits), taken


class Networks:
    """The liveness networks on the boxes of the presentations."""

    def __init__(self, fusion: Fusion, threshold: float, identity: dict[str, Any]):
        self._fusion, self.threshold, self.identity = fusion, threshold, identity

    @classmethod
    def shipped(cls, models: Path = MODELS) -> Networks:
        spoof = read_manifest(models)["spoof"]
        identity = {n["file"]: n["sha256"][:12] for n in spoof["networks"]}
        return cls(Fusion.shipped(models), float(spoof["threshold"]), identity)

    def __call__(self, presentations: Sequence[Presentation]) -> list[Outcome]:
        return [self._judge(p) for p in presentations]

    def _judge(self, presentation: Presentation) -> Outcome:
        if presentation.box is None:
            return Outcome(None, presentation.missing)
        probability, taken = self._fusion.judge(read(presentation), [presentation.box])
        return Outcome(float(probability[0]), "", {"looks": int(taken[0])})


class TeacherScores:
    """The teachers' answers on the boxes of the set: each alone, the pair's mean, all added."""

    def __init__(self, folder: Path):
        self._teachers = Teachers(folder)

    def __call__(self, presentations: Sequence[Presentation]) -> dict[str, list[Outcome]]:
        names = (*TEACHERS, "both MiniFASNet, mean probability", "all three added")
        columns: dict[str, list[Outcome]] = {name: [] for name in names}
        for presentation in presentations:
            values = self._judge(presentation)
            for name, value in zip(names, values, strict=True):
                columns[name].append(Outcome(value, presentation.missing if value is None else ""))
        return columns

    def _judge(self, presentation: Presentation) -> list[float | None]:
        if presentation.box is None:
            return [None] * 5
        logits = self._teachers.logits(read(presentation), presentation.box)
        single = sigmoid(logits)
        return [float(p) for p in (*single, single[:2].mean(), combine(torch.from_numpy(logits)))]


def load_binding(library: Path) -> Any:
    """The Python package of this repository on a built library; one library per process."""
    os.environ["LIVENESS_LIBRARY"] = str(library.resolve(strict=True))
    if str(BINDING) not in sys.path:
        sys.path.insert(0, str(BINDING))
    package = importlib.import_module("liveness")
    used = importlib.import_module("liveness._abi")._library_path()
    if used.resolve() != library.resolve():
        raise RuntimeError(f"{used} is loaded, not {library}: remove it, or start a new process")
    return package


class Library:
    """The built library, detector, gates and all."""

    def __init__(self, library: Path, models: Path | None = None, workers: int = 1, **options: Any):
        self._package = load_binding(library)
        self.engine = self._package.Liveness(models=models, **options)
        self._workers = workers
        info = self.engine.info()
        self.identity = {"library": info.version, "engine": info.engine, "models": info.models}
        # Each verdict names the threshold in force; until the first one it is that of the manifest.
        self.threshold = float(read_manifest(MODELS)["spoof"]["threshold"])

    def __call__(self, presentations: Sequence[Presentation]) -> list[Outcome]:
        return self.check([p.path for p in presentations])

    def check(self, sources: Sequence[Any]) -> list[Outcome]:
        """Of paths, encoded files or RGB arrays."""
        return [self._outcome(a) for a in self.engine.check_many(sources, workers=self._workers, progress=False)]

    def _outcome(self, answer: Any) -> Outcome:
        if isinstance(answer, self._package.LivenessError):
            details = asdict(answer.details)
            reason = answer.details.reasons[0] if answer.code in ("051", "052") and answer.details.reasons else answer.code
            return Outcome(None, reason, details)
        details = asdict(answer.details)
        self.threshold = float(answer.details.threshold)
        return Outcome(float(answer.details.live_probability), "", details)

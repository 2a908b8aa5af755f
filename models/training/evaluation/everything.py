"""Every table between markers of the model card but leave-one-source-out, and the card itself.

    python -m training.evaluation.everything --data ../../shared/data --teachers ../../shared/teachers \
        --library ../target/release/libliveness.so --out report

Runs, one after another: training.evaluation, .quality, .stability, .mistakes, training.detector.evaluate,
training.mask.evaluate and training.evaluation.card. Tables of ``training.evaluation.leave_one_out`` go into the card too
if it wrote into the same folder before.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..detector import evaluate as detector
from ..export import MODELS
from ..mask import evaluate as mask
from . import __main__ as evaluation
from . import card, mistakes, quality, stability


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.everything", description=__doc__, formatter_class=layout)
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--library", required=True, help="libliveness.so, built")
    parser.add_argument("--teachers", help="folder with the teachers, to compare with")
    parser.add_argument("--out", required=True, help="folder for the report")
    parser.add_argument("--models", default=str(MODELS))
    parser.add_argument("--images", default="0", help="sub-sample for stability through the library; 0 is all")
    parser.add_argument("--jitter-images", default="0", help="sub-sample for stability under box jitter; 0 is all")
    parser.add_argument("--workers", default="1", help="checks of the library at once")
    parser.add_argument("--card", default=str(MODELS / "MODEL_CARD.md"), help="file whose tables to renew")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    common = ["--data", args.data, "--models", args.models, "--out", args.out]
    library = ["--library", args.library, "--workers", args.workers]
    Path(args.out).mkdir(parents=True, exist_ok=True)
    evaluation.main([*common, *library, *(["--teachers", args.teachers] if args.teachers else [])])
    quality.main(common)
    stability.main([*common, *library, "--images", args.images, "--jitter-images", args.jitter_images])
    mistakes.main([*common, *library])
    detector.main(common)
    mask.main(common)
    card.main(["--report", args.out, "--card", args.card])


if __name__ == "__main__":
    main()

"""Puts measured tables into a Markdown file: ``python -m training.evaluation.card --report report``.

Between ``<!-- begin:table NAME -->`` and ``<!-- end:table -->`` stands what the commands of this package left in
report/blocks/NAME.md; everything outside the markers stays as it is.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ..export import MODELS

BLOCK = re.compile(r"(<!-- begin:table ([\w-]+) -->\n)(.*?)(<!-- end:table -->)", re.DOTALL)


def filled(text: str, blocks: dict[str, str]) -> tuple[str, list[str]]:
    """The text with its blocks replaced, and the names of those that have no new content."""
    missing = []

    def replacement(match: re.Match[str]) -> str:
        start, name, old, end = match.groups()
        if name not in blocks:
            missing.append(name)
            return start + old + end
        return f"{start}\n{blocks[name].strip()}\n\n{end}"

    return BLOCK.sub(replacement, text), missing


def main(argv: Sequence[str] | None = None) -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.card", description=__doc__, formatter_class=layout)
    parser.add_argument("--report", type=Path, required=True, help="folder that the other commands wrote")
    parser.add_argument("--card", type=Path, default=MODELS / "MODEL_CARD.md")
    args = parser.parse_args(argv)
    blocks = {path.stem: path.read_text("utf-8") for path in sorted((args.report / "blocks").glob("*.md"))}
    text, missing = filled(args.card.read_text("utf-8"), blocks)
    args.card.write_text(text, "utf-8")
    print(f"{args.card}: {len(BLOCK.findall(text)) - len(missing)} tables renewed")
    if missing:
        print(f"as they were, since {args.report} has none of them: {', '.join(missing)}")


if __name__ == "__main__":
    main()

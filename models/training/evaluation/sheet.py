"""A contact sheet of the worst errors. It shows the images themselves: for local use only."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from .figures import Judged
from .presentations import read

TILE, COLUMNS, LIMIT = 200, 8, 64
NAME = "worst-errors.LOCAL-ONLY.png"
WARNING = "Shows people of the data set: for local use only, never commit or publish this file."


def worst(judged: Judged, threshold: float, limit: int = LIMIT) -> list[int]:
    """Numbers of the presentations judged wrong, farthest from the threshold first."""
    wrong = []
    for number, (p, outcome) in enumerate(zip(judged.presentations, judged.outcomes, strict=True)):
        score = outcome.probability
        if score is not None and (score >= threshold) != p.live:
            wrong.append((-abs(score - threshold), number))
    return [number for _, number in sorted(wrong)[:limit]]


def _tile(judged: Judged, number: int) -> Image.Image:
    p, score = judged.presentations[number], judged.outcomes[number].probability
    image = Image.fromarray(read(p))
    if p.box is not None:
        ImageDraw.Draw(image).rectangle([*p.box[:2], *(p.box[:2] + p.box[2:])], outline="yellow", width=2)
    image.thumbnail((TILE, TILE - 24))
    tile = Image.new("RGB", (TILE, TILE), "darkgreen" if p.live else "darkred")
    tile.paste(image, (0, 24))
    ImageDraw.Draw(tile).text((2, 0), f"{p.species} {score:.3f}\n{p.source}", fill="white")
    return tile


def write(judged: Judged, threshold: float, out: Path) -> Path:
    """Green on top: refused bona fide; red: accepted attacks."""
    numbers = worst(judged, threshold)
    rows = max(1, -(-len(numbers) // COLUMNS))
    sheet = Image.new("RGB", (TILE * COLUMNS, TILE * rows + 20))
    ImageDraw.Draw(sheet).text((4, 4), WARNING, fill="yellow")
    for at, number in enumerate(numbers):
        sheet.paste(_tile(judged, number), (TILE * (at % COLUMNS), 20 + TILE * (at // COLUMNS)))
    path = out / NAME
    sheet.save(path)
    # Whatever happens to the folder, git leaves the sheet alone.
    (out / ".gitignore").write_text("*.LOCAL-ONLY.*\n", "utf-8")
    return path



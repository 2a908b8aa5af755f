"""Executes examples/liveness.ipynb, and compares what comes out with what is checked in.

Scores and pictures change with every training of the networks, so the kinds of outputs are compared,
not their content. With --update the outputs are checked in anew.
"""

import json
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "examples/liveness.ipynb"
EXECUTED = ROOT / "target/notebook/executed.ipynb"
# What a reader elsewhere should not get to see: this machine's folders and other hosts than the loopback.
PRIVATE = [re.escape(str(ROOT)), r"/(?:home|root|tmp|work|Users)/", r"https?://(?!127\.0\.0\.1[:/])"]


def main() -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    executed = nbformat.from_dict(json.loads(json.dumps(stored)))
    client = NotebookClient(executed, timeout=300, kernel_name="python3", record_timing=False,
                            # A kernel under load sends what a cell prints in pieces.
                            coalesce_streams=True,
                            resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    client.execute()
    # The version of Python differs from machine to machine.
    executed.metadata.language_info = {"name": "python"}
    nbformat.write(executed, EXECUTED)
    if "--update" in sys.argv[1:]:
        nbformat.write(executed, NOTEBOOK)
        stored = executed
    for number, (old, new) in enumerate(zip(stored.cells, executed.cells, strict=True)):
        if kinds(old) != kinds(new):
            sys.exit(f"cell {number} gives {kinds(new)}, checked in is {kinds(old)}: run bash .ci/notebook.sh --update")
    for notebook in (stored, executed):
        look_for_private(notebook)
    count = sum(bool(cell.get("outputs")) for cell in stored.cells)
    if count < 8:
        sys.exit(f"only {count} cells have an output")
    print(f"{NOTEBOOK.name}: {len(stored.cells)} cells, {count} with the outputs that are checked in")


def kinds(cell: nbformat.NotebookNode) -> list[tuple[str, ...]]:
    """What a cell puts out, without its content."""
    return [(output.output_type, output.get("name", ""), *sorted(output.get("data", {})))
            for output in cell.get("outputs", [])]


def look_for_private(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" or output.get("name") == "stderr":
                sys.exit(f"a cell complains: {output}")
            texts = [output.get("text", ""), *(text for kind, text in output.get("data", {}).items() if "text" in kind)]
            for found in (re.search(pattern, text) for pattern in PRIVATE for text in texts):
                if found:
                    sys.exit(f"an output holds {found[0]}")


if __name__ == "__main__":
    main()

"""Executes the notebooks: writes each .ipynb from its .py, or checks those that are there.

    target/notebooks-venv/bin/python notebooks/make.py              all, two at a time
    target/notebooks-venv/bin/python notebooks/make.py 03           those whose name begins so
    target/notebooks-venv/bin/python notebooks/make.py --check      write nothing; 1 where something differs
    … --check --static                                              the same without executing anything

The .py (percent format) is the source of truth. Its .ipynb has the same cells, and the outputs of one
execution from top to bottom. With --check a notebook is wrong when the two disagree, a cell fails, an
output is another one today, or its text holds what may not be published. Of cells with the tag
`volatile` (they measure) only the kind of output is compared, of pictures only the text beside them.
"""

import argparse
import difflib
import ipaddress
import os
import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
INDICATORS = HERE.parent / "src/enrich/data/indicators.csv"
SECONDS_PER_CELL = 600
MOST_BYTES = 400_000
"""Of one notebook, pictures included."""

DOCUMENTATION = [
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
]
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Four numbers after a name and a slash are a version, as in Chrome/131.0.0.0.
ADDRESS = re.compile(r"(?<![\w.:-])(?<!\w/)(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,})(?![\w:])")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MACHINE_PATH = re.compile(r"(?<![\w.…-])/(?:home|root|tmp|work|Users|var|private|opt|mnt|build|builds|srv)/[\w.-]+|[A-Z]:\\\w+")


def source(script: Path) -> nbformat.NotebookNode:
    """The notebook that the script describes, without outputs, the same on every machine."""
    notebook = jupytext.read(script, fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata["language_info"] = {"name": "python"}
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"] = f"cell-{number:02}"
    return notebook


def execute(script: Path) -> nbformat.NotebookNode:
    """The script's notebook with the outputs of today. Raises where a cell fails."""
    notebook = source(script)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(script.parent)}},
        coalesce_streams=True,
        record_timing=False,
    )
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def published(indicators: Path) -> set[str]:
    """Addresses and networks of published campaigns, which come with orgwatch."""
    return {line.split(",")[1] for line in indicators.read_text().splitlines() if line.startswith("ip,")}


def unpublishable(text: str) -> list[str]:
    """What in it may not be published: addresses of people and of machines, places on a disk."""
    wrong = [f"e-mail address {found}" for found in EMAIL.findall(text) if not found.endswith("@example.com")]
    known = published(INDICATORS)
    for found in ADDRESS.findall(text):
        try:
            address = ipaddress.ip_address(found)
        except ValueError:
            continue
        if address.is_unspecified or found in known:  # `::` is also how slices are written
            continue
        if not any(address in network for network in DOCUMENTATION):
            wrong.append(f"address {found}")
    return wrong + [f"path {found}" for found in MACHINE_PATH.findall(text)]


def said(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell puts out, as lines that can be compared."""
    lines = []
    measures = "volatile" in cell.metadata.get("tags", [])
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            lines += [f"{output.name}:"] + ([] if measures else output.text.splitlines())
        for kind, content in sorted(output.get("data", {}).items()):
            lines += [f"{kind}:"] + ([] if measures or kind == "image/png" else content.splitlines())
    return lines


def static_faults(script: Path) -> list[str]:
    """What is wrong with the committed notebook, without executing it."""
    committed = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    faults = []
    if difference := _difference(script.read_text(), jupytext.writes(committed, fmt="py:percent")):
        faults.append(f"is not the notebook of {script.name}; `make.py {script.stem}` makes it anew\n{difference}")
    wanted = source(script)
    for ours, theirs in zip(wanted.cells, committed.cells):
        if (ours.id, ours.metadata) != (theirs.id, theirs.metadata):
            faults.append(f"{theirs.id}: metadata that a fresh notebook does not have")
    if wanted.metadata != committed.metadata:
        faults.append("metadata that a fresh notebook does not have")
    if (size := script.with_suffix(".ipynb").stat().st_size) > MOST_BYTES:
        faults.append(f"{size} bytes, more than {MOST_BYTES}")
    for cell in committed.cells:
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None:
            faults.append(f"{cell.id}: not executed")
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                faults.append(f"{cell.id}: an error or a warning among the outputs")
    for cell in committed.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    faults += unpublishable(nbformat.writes(committed).replace("\\n", "\n"))
    return faults


def dynamic_faults(script: Path) -> list[str]:
    """What an execution of today says that the committed notebook does not."""
    try:
        today = execute(script)
    except CellExecutionError as error:
        return [f"a cell fails\n{COLOURS.sub('', str(error))}"]
    committed = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    pairs = zip(committed.cells, today.cells)
    return [
        f"{new.id} says something else today\n{difference}"
        for old, new in pairs
        if (difference := _difference("\n".join(said(old)), "\n".join(said(new))))
    ]


def _difference(old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "committed", "made", lineterm="", n=1)
    return "\n".join(lines)


def check(script: Path, static: bool) -> list[str]:
    if not script.with_suffix(".ipynb").exists():
        return ["there is no .ipynb beside it"]
    return static_faults(script) + ([] if static else dynamic_faults(script))


def make(script: Path) -> list[str]:
    os.environ["NOTEBOOK_PICTURES"] = str(script.parent)
    try:
        notebook = execute(script)
    except CellExecutionError as error:
        return [f"a cell fails\n{COLOURS.sub('', str(error))}"]
    nbformat.write(notebook, script.with_suffix(".ipynb"))
    return static_faults(script)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the beginnings of names; otherwise all")
    parser.add_argument("--check", action="store_true", help="write nothing, and say what differs")
    parser.add_argument("--static", action="store_true", help="with --check: execute nothing")
    parser.add_argument("--folder", type=Path, default=HERE, help="where the notebooks are")
    asked = parser.parse_args()
    scripts = sorted(asked.folder.resolve().glob("[0-9][0-9]_*.py"))
    scripts = [s for s in scripts if not asked.names or s.name.startswith(tuple(asked.names))]
    if not scripts:
        parser.error(f"no notebook of that name in {asked.folder}")
    stray = {n.stem for n in asked.folder.glob("*.ipynb")} - {s.stem for s in asked.folder.glob("*.py")}
    if stray:
        parser.error(f"no .py beside {', '.join(sorted(stray))}.ipynb")
    # What kernels inherit: one zone, and nothing of the user's own settings.
    scratch = tempfile.TemporaryDirectory(prefix="orgwatch-notebooks-")
    os.environ |= {"TZ": "UTC", "IPYTHONDIR": scratch.name, "JUPYTER_PLATFORM_DIRS": "1", "PYTHONPATH": str(HERE)}
    with ProcessPoolExecutor(max_workers=2) as pool:
        if asked.check:
            results = list(pool.map(check, scripts, [asked.static] * len(scripts)))
        else:
            results = list(pool.map(make, scripts))
    for script, faults in zip(scripts, results):
        for fault in faults:
            print(f"{script.stem}: {fault}")
        print(f"{script.stem}: {'WRONG' if faults else 'ok'}")
    return 1 if any(results) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Copy the figures, tables and claims of a paper to where git keeps them, with a note of what they are.

In: the PNG, the CSV and the line of provenance of each figure; the Markdown and the CSV of each table; the
page; the claims as a Markdown table.
Job: ``scale``, ``titles`` (by name).
Out: a folder with PNGs, tables and CSVs, and README.md: scale, data, commit and machine.
"""

import shutil
import subprocess
from pathlib import Path

from jobs import logged

LARGEST = 8e6  # bytes of a file that the gallery keeps


def commit() -> str:
    """The commit that the figures were built from; "-dirty" if anything but results was changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    done = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    if done.returncode != 0:
        return "unknown"
    code = ["diff", "--quiet", "HEAD", "--", ":(top)", ":(top,exclude)results"]
    changed = subprocess.run([*git, *code]).returncode != 0
    return done.stdout.strip() + "-dirty" * changed


with logged(snakemake):
    from marginalia.files import atomic_write

    job = snakemake.params.job
    files = {path.name: path for path in map(Path, snakemake.input.files)}
    with atomic_write(snakemake.output.folder) as folder:
        folder.mkdir(parents=True)
        lines = [
            f"# {snakemake.wildcards.paper}, scale {job.scale}",
            "",
            f"Built from commit {commit()}. Below each figure is what it was made of; beside each PNG is the "
            "CSV of what it plots.",
        ]
        for name, path in files.items():
            if path.suffix == ".png":
                title = job.titles[path.stem]
                lines += ["", f"## {path.stem}: {title}", "", f"![{title}]({name})"]
                told = files[f"{path.stem}.txt"].read_text(encoding="utf-8")
                lines += ["", told.splitlines()[0]]
            elif path.suffix == ".html" and path.stat().st_size < LARGEST:
                lines += ["", f"## [{job.titles['page']}]({name}), a page: download it, and open it"]
            elif path.suffix == ".md":
                lines += ["", f"## {path.stem}", "", path.read_text(encoding="utf-8").strip()]
            if path.suffix != ".txt" and path.stat().st_size < LARGEST:
                shutil.copy(path, folder)
        claims = Path(snakemake.input.claims).read_text(encoding="utf-8").splitlines()
        own = [line for line in claims if line.startswith(f"| {snakemake.wildcards.paper} ")]
        if own:
            lines += ["", "## What the paper claims, and whether it holds here", "", *claims[:2], *own]
        (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")

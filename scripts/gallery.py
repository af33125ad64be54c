"""Copy the figures and tables of a scale to where git keeps them, with a note of what they are.

In: the PNG, the CSV and the line of provenance of each figure; the Markdown and the CSV of each table.
Out: a folder with PNGs, tables and CSVs, and README.md: scale, data, commit and machine.
"""

import shutil
import subprocess
from pathlib import Path

from jobs import logged


def commit() -> str:
    """The commit that the figures were built from; "-dirty" if the checkout had changes."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


with logged(snakemake.log[0]):
    from marginalia.files import whole

    with whole(snakemake.output.folder) as folder:
        lines = [
            f"# Gallery, scale {snakemake.params.scale}",
            "",
            f"Built from commit {commit()}. Below each figure is what it was made of; beside each PNG is the "
            "CSV of what it plots.",
        ]
        for png, csv, made_of, title in zip(
            snakemake.input.pngs,
            snakemake.input.csvs,
            snakemake.input.made_of,
            snakemake.params.titles,
            strict=True,
        ):
            paper, figure = Path(png).parent.name, Path(png).stem
            (folder / paper).mkdir(parents=True, exist_ok=True)
            for file in (png, csv):
                shutil.copy(file, folder / paper)
            lines += ["", f"## {paper} {figure}: {title}", "", f"![{title}]({paper}/{figure}.png)"]
            lines += ["", Path(made_of).read_text().strip()]
        for file in map(Path, snakemake.input.tables):
            paper = file.parent.name
            (folder / paper).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / paper)
            if file.suffix == ".md":
                lines += ["", f"## {paper} {file.stem}", "", file.read_text().strip()]
        (folder / "README.md").write_text("\n".join(lines) + "\n")

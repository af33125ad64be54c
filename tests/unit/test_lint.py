"""Python, Snakefiles and shell of the project are clean by the linters that pyproject.toml configures."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINTERS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "--diff", "."],
    "snakefmt": ["-m", "snakefmt", "--check", "--diff", "Snakefile", "workflow"],
    "snakemake --lint": ["-m", "snakemake", "--lint"],
}


@pytest.mark.parametrize("linter", LINTERS)
def test_clean(linter):
    done = subprocess.run([sys.executable, *LINTERS[linter]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{linter} finds fault:\n{done.stdout}\n{done.stderr}"

"""One figure of the reduced scale, built by Slurm jobs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIGURE = "results/reduced/figures/mickisch2020/fig10.png"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not shutil.which("sbatch"), reason="no Slurm: see tests/cluster/README.md"),
]


@pytest.fixture
def copy(tmp_path):
    """The project without anything built, in a folder of its own."""
    built = shutil.ignore_patterns(".git", ".venv", ".snakemake", "results", "__pycache__", "*.egg-info")
    return shutil.copytree(ROOT, tmp_path / "marginalia", ignore=built)


def requested(what: str, run: str) -> list[str]:
    """What the jobs of one Snakemake run asked of Slurm, one value a job."""
    jobs = subprocess.check_output(["scontrol", "--oneliner", "show", "job"], text=True).splitlines()
    return [re.search(rf"\b{what}=(\S+)", job)[1] for job in jobs if f"JobName={run} " in job]


def test_one_figure_is_built_by_slurm_jobs(copy):
    profile = ["--workflow-profile", "profiles/slurm"]
    soon = ["--slurm-init-seconds-before-status-checks", "5"]
    command = [sys.executable, "-m", "snakemake", *profile, *soon, FIGURE]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    assert all((copy / FIGURE).with_suffix(kind).stat().st_size > 0 for kind in (".png", ".pdf", ".csv"))

    run = re.search(r"SLURM run ID: (\S+)", log)[1]
    assert set(requested("JobState", run)) == {"COMPLETED"}
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    memory = {f"{megabytes}M" for megabytes in re.findall(r"mem_mb=(\d+)", rules)}
    assert set(requested("MinMemoryNode", run)) <= memory
    assert "UNLIMITED" not in requested("TimeLimit", run)

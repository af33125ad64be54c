"""Snakemake, run as a user runs it, on a configuration of its own in a folder of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PARTS = (
    "Snakefile",
    "config",
    "envs",
    "profiles",
    "scripts",
    "workflow",
)  # of the repository, that it runs from


class Pipeline:
    """The workflow in ``root`` with ``config`` (and nothing below it), working in ``folder``."""

    def __init__(self, folder: Path, config: dict, root: Path = ROOT) -> None:
        self.folder, self.config, self.root = folder, {"base": False, **config}, root

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run Snakemake; with ``check``, a failure fails the test with what Snakemake said."""
        result = subprocess.run(
            self._command(arguments), cwd=self.folder, capture_output=True, text=True, env=self._environment()
        )
        assert result.returncode == 0 or not check, result.stdout + result.stderr
        return result

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake in a process group of its own and do not wait for it."""
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=self._environment(),
        )

    def planned(self, *arguments: str) -> set[str]:
        """The messages of the jobs that a dry run plans."""
        result = self.run("--dry-run", *arguments)
        return set(re.findall(r"Job \d+: (.*)", result.stdout + result.stderr))

    def times(self, *folders: str) -> dict[Path, int]:
        """When each file below some folders was last changed."""
        files = [path for folder in folders for path in (self.folder / folder).rglob("*.p*")]
        return {path: path.stat().st_mtime_ns for path in files}

    def write_config(self) -> Path:
        """Write the configuration to where it is read from."""
        configfile = self.folder / "config.yaml"
        configfile.write_text(yaml.safe_dump(self.config))
        return configfile

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", str(self.write_config())),
            *("--snakefile", str(self.root / "Snakefile")),
            *arguments,
        ]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.root / "scripts")}


def copy_of_repository(folder: Path) -> Path:
    """A copy of all that the pipeline runs from, to be changed by a test."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / part)
    return folder

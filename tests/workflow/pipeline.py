"""Snakemake, run as a user runs it, on a configuration of its own in a folder of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


class Pipeline:
    """The project's Snakefile with ``config``, working in ``folder``."""

    def __init__(self, folder: Path, config: dict) -> None:
        self.folder, self.config = folder, config

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run Snakemake; with ``check``, a failure fails the test with what Snakemake said."""
        result = subprocess.run(
            self._command(arguments), cwd=self.folder, capture_output=True, text=True, env=_environment()
        )
        assert result.returncode == 0 or not check, result.stderr
        return result

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake in a process group of its own and do not wait for it."""
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(),
        )

    def planned(self, *targets: str) -> set[str]:
        """The messages of the jobs that a dry run plans."""
        result = self.run("--dry-run", *targets)
        return set(re.findall(r"Job \d+: (.*)", result.stdout + result.stderr))

    def times(self, *folders: str) -> dict[Path, int]:
        """When each file below some folders was last changed."""
        files = [path for folder in folders for path in (self.folder / folder).rglob("*.p*")]
        return {path: path.stat().st_mtime_ns for path in files}

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        configfile = self.folder / "config.yaml"
        configfile.write_text(yaml.safe_dump(self.config))
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *("--snakefile", str(ROOT / "Snakefile"), "--configfile", str(configfile)),
            *("--workflow-profile", str(ROOT / "workflow" / "profiles" / "default")),
            *arguments,
        ]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}

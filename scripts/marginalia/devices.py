"""Where tensors live: CUDA where there is one, else Apple's GPU, else the CPU."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def share_processors() -> None:
    """Have torch's processor threads sleep where they wait for each other; call it before torch is imported.

    By default they spin, which makes torch some twenty times slower on a machine that has other work to do. A
    user's own ``OMP_WAIT_POLICY`` is kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def choose(name: str = "auto", threads: int | None = None) -> torch.device:
    """The device to compute on; ``threads`` limits the processor threads that torch uses.

    Raises:
        ValueError: the device was asked for by name and is not there.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    there = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    there += ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    if name == "auto":
        name = there[0]
    if (f"{name}:0" if name == "cuda" else name) not in there:
        raise ValueError(f"device: {name} is not available on this machine; it has {', '.join(there)}")
    return torch.device(name)


def describe(device: torch.device) -> dict[str, object]:
    """The device, the machine and the versions, as provenance records them."""
    import torch

    if device.type == "cuda":
        machine = torch.cuda.get_device_name(device)
    else:
        machine = f"{_processor()} ({os.cpu_count()} cores)"
    return {
        "device": device.type,
        "machine": machine,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def describe_processor() -> dict[str, object]:
    """The same of the processor, for what does not use torch."""
    return {
        "device": "cpu",
        "machine": f"{_processor()} ({os.cpu_count()} cores)",
        "versions": {"python": platform.python_version()},
    }


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on nothing but its arguments (a run's name, its configured seed, ...)."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

"""What a benchmark ran on: the machine, the code and its versions."""

import os
import platform
import re
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil

root = Path(__file__).parent.parent
written = ("docs/benchmarks.md", "docs/benchmarks.jsonl")


def machine() -> dict[str, str]:
    """CPU, cores, memory, and the disk that the scratch folders are on, with what a flush to it takes."""
    memory, folder = psutil.virtual_memory().total, tempfile.gettempdir()
    return {
        "CPU": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "disk": f"{psutil.disk_usage(folder).total / 2**30:.0f} GiB, {_kind_of_disk(folder)}; "
        f"8 kB written and flushed in {flush_ms(folder):.2f} ms",
        "system": platform.platform(aliased=True, terse=True),
    }


def _cpu() -> str:
    told = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", told.read_text()) if told.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _kind_of_disk(folder: str) -> str:
    mounts = [place for place in psutil.disk_partitions(all=True) if Path(folder).is_relative_to(place.mountpoint)]
    place = max(mounts, key=lambda mount: len(mount.mountpoint), default=None)
    return f"{place.fstype} on {Path(place.device).name}" if place else "unknown"


def flush_ms(folder: str, times: int = 50) -> float:
    """Milliseconds to write one page and flush it, the median of some: what a durable commit waits for."""
    taken = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(times):
            began = perf_counter()
            file.seek(0)
            file.write(b"\0" * 8192)
            os.fdatasync(file.fileno())
            taken.append((perf_counter() - began) * 1000)
    return median(taken)


def commit() -> str:
    """The commit of the code, and whether it was changed since; the pages that we write do not count."""
    try:
        found = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", *(f":!{name}" for name in written))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{found} with changes" if changed else found


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def our_versions() -> dict[str, str]:
    """Of the language and of this package."""
    return {"Python": platform.python_version(), "regulars": version("regulars")}

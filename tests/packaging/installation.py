"""An empty environment with the built wheel in it, and of other packages only what the wheel's own metadata ask for.

The packages come from the environment of the tests, so that nothing is fetched: each is linked, not copied.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from zipfile import Path as ZipPath

from packaging.requirements import Requirement

root = Path(__file__).parents[2]


def build_wheel(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=root,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


class Installation:
    """A wheel in a folder of its own, with one of its extras or without."""

    def __init__(self, folder: Path, wheel: Path, extra: str = "") -> None:
        self.data_dir = folder / "data"
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        self.program = folder / "venv" / "bin" / "regulars"
        site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
        for package in required(metadata_of(wheel), extra):
            link(package, site)
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("REGULARS_", "PYTHON"))}
        return {**inherited, "REGULARS_DATA_DIR": str(self.data_dir), "COLUMNS": "120"}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.python.parents[2],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def regulars(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.program), *arguments)


def metadata_of(wheel: Path) -> Distribution:
    (folder,) = (entry for entry in ZipPath(wheel).iterdir() if entry.name.endswith(".dist-info"))
    return PathDistribution(folder)  # type: ignore[arg-type]  # a path inside an archive has what it needs


def required(package: Distribution, extra: str) -> Iterator[Distribution]:
    """What a package needs, directly or through others; each once."""
    seen: set[str] = set()
    pending = list(requirements(package, {extra}))
    while pending:
        requirement = pending.pop()
        if requirement.name in seen:
            continue
        seen.add(requirement.name)
        found = distribution(requirement.name)
        pending += requirements(found, requirement.extras or {""})
        yield found


def requirements(package: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for text in package.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            yield requirement


def link(package: Distribution, site: Path) -> None:
    for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(package.locate_file(top))))

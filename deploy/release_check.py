"""Whether what would be released works: wheel and sdist hold every file, and install and run in empty environments.

An environment is made for each Python that eventfold is for and that this machine has; which it lacks is said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "parcels"
PYTHONS = ("3.11", "3.12", "3.13")
SMOKE = """
import eventfold, eventfold.testing
from eventfold import Message
from eventfold.testing import given
from parcels.domain import domain
for module in (eventfold, eventfold.testing):
    for name in module.__all__:
        getattr(module, name)
parcel = {"depot": "Oslo", "weight_g": 1200}
post, posted = Message("parcels.PostParcel", parcel), Message("parcels.ParcelPosted", parcel)
given(domain.decider).when(post).then(posted)
given(domain.decider, posted).when(post).then_refused("already-posted")
"""


class ReleaseError(Exception):
    """What is wrong with the release, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """wheel: made of the sdist, as installers make it that find no wheel."""

    sdist: Path
    wheel: Path
    wheel_of_tree: Path


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="eventfold-release-") as made:
            check(Path(made))
    except ReleaseError as error:
        print(f"release-check: {error}", file=sys.stderr)
        return 1
    return 0


def check(folder: Path) -> None:
    """Build below `folder`, list what was built, and try it with each Python; ReleaseError when something is wrong."""
    built = build(folder)
    files = check_contents(built)
    print("\n".join(sorted(files)))
    print(f"{built.wheel.name} and {built.sdist.name}: {len(files)} files, the same ones from the tree and from the sdist")
    example = wheel_of(EXAMPLE, folder / "example")
    tried = 0
    for version in PYTHONS:
        python = interpreter(version)
        if python is None:
            print(f"Python {version}: skipped, this machine has no such interpreter")
            continue
        began = time.monotonic()
        environment = environment_of(python, folder / version, built.wheel, example)
        smoke(environment, built.wheel.name.split("-")[1])
        print(f"Python {version}: installed and tried in {time.monotonic() - began:.0f} s ({python})")
        tried += 1
    if not tried:
        raise ReleaseError(f"there is none of Python {', '.join(PYTHONS)} on this machine to try the wheel with")


def build(folder: Path) -> Built:
    """The sdist, the wheel of that, and the wheel of the tree; built of a copy, since building leaves files behind."""
    tree = folder / "tree"
    tree.mkdir()
    for name in ("README.md", "pyproject.toml", "setup.py"):
        shutil.copy(REPOSITORY / name, tree)
    rooms = [link.name for link in (REPOSITORY / "eventfold").iterdir() if link.is_symlink()]
    for name in ("src", "eventfold", *rooms):
        shutil.copytree(REPOSITORY / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(tree)])
    return Built(
        sdist=next((folder / "dist").glob("*.tar.gz")),
        wheel=next((folder / "dist").glob("*.whl")),
        wheel_of_tree=wheel_of(tree, folder / "of_tree"),
    )


def wheel_of(source: Path, folder: Path) -> Path:
    """The wheel of a distribution, built of a copy of its source."""
    copy = shutil.copytree(source, folder / "source", symlinks=True)
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(copy)])
    return next(folder.glob("*.whl"))


def check_contents(built: Built) -> set[str]:
    """The files of the wheel; ReleaseError when they are not all files of the package, and no others."""
    files = packed(built.wheel)
    wanted = package_files(REPOSITORY)
    if files != wanted:
        raise ReleaseError(f"{built.wheel.name} lacks {sorted(wanted - files)} and should not hold {sorted(files - wanted)}")
    if (of_tree := packed(built.wheel_of_tree)) != files:
        raise ReleaseError(f"the wheels of the tree and of the sdist differ in {sorted(of_tree ^ files)}")
    with tarfile.open(built.sdist) as archive:
        held = {name.partition("/src/")[2] for name in archive.getnames()}
    if missing := wanted - held:
        raise ReleaseError(f"{built.sdist.name} lacks {sorted(missing)}")
    return files


def packed(wheel: Path) -> set[str]:
    """What a wheel installs, without its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/"
    return {name for name in names if not name.startswith(info)}


def package_files(tree: Path) -> set[str]:
    """Every file of the package `eventfold`, its rooms' among them."""
    return {
        str((Path(at) / name).relative_to(tree))
        for at, folders, names in os.walk(tree / "eventfold", followlinks=True)
        for name in names
        if "__pycache__" not in Path(at).parts
    }


def interpreter(version: str) -> Path | None:
    """A Python of this version: the one that runs, one on the PATH, or pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    on_path = shutil.which(f"python{version}")
    candidates = [Path(sys.executable), *([Path(on_path)] if on_path else []), *sorted(pyenv.glob(f"{version}.*/bin/python"))]
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for python in candidates:
        # pyenv puts a script on the PATH for versions that are not chosen too; it says so and fails.
        found = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip() == version:
            return python
    return None


def environment_of(python: Path, folder: Path, *wheels: Path) -> Path:
    """An environment with these wheels and what they need, of the versions in constraints.txt; its Python."""
    run([str(python), "-m", "venv", "--without-pip", str(folder)])
    inside = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(inside)]
    run([*pip, "install", "--quiet", "--constraint", str(REPOSITORY / "constraints.txt"), *map(str, wheels)])
    return inside


def smoke(python: Path, version: str) -> None:
    """The command line and the front door, without Kafka and Redis; ReleaseError when something is not as it should be."""
    eventfold = str(python.with_name("eventfold"))
    if (told := run([eventfold, "--version"])).split()[-1:] != [version]:
        raise ReleaseError(f"`eventfold --version` says {told.strip()!r}, not {version}")
    if "Post parcels" not in (told := run([eventfold, "--help"])):
        raise ReleaseError(f"`eventfold --help` does not list the domain that is installed beside it:\n{told}")
    run([str(python), "-c", SMOKE])


def run(command: list[str]) -> str:
    """What a command prints that must succeed, in an empty folder, with no setting of the caller's Python."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EVENTFOLD_"))}
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(command, cwd=empty, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

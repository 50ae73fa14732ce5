"""The domain of one's own in examples/parcels, installed into a folder as a user would install it."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from tests.support.local_stack import REPOSITORY, clean_environ

PACKAGE = REPOSITORY / "examples" / "parcels"


def install_parcels(folder: Path, edit: Callable[[Path], None] = lambda _: None) -> Path:
    """Install it below `folder`, and edit what was installed; returns where."""
    target = folder / "site"
    shutil.copytree(_installed(), target)
    edit(target)
    return target


@lru_cache(maxsize=1)
def _installed() -> Path:
    """Where it is installed unedited, once for a process: building takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="eventfold-parcels-"))
    atexit.register(shutil.rmtree, folder)
    source, target = folder / "source", folder / "site"
    # A copy, since building leaves files beside the sources.
    shutil.copytree(PACKAGE, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)]
    subprocess.run(command, check=True, env=clean_environ() | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return target


@contextmanager
def importable(installed: Path) -> Iterator[None]:
    """Let this process find it too, as one more installed package."""
    sys.path.insert(0, str(installed))
    try:
        yield
    finally:
        sys.path.remove(str(installed))
        for name in [name for name in sys.modules if name.partition(".")[0] in ("parcels", "sightings")]:
            del sys.modules[name]


def edited(path: str, before: str, after: str) -> Callable[[Path], None]:
    """An edit of one of its files, for `install_parcels`."""

    def edit(installed: Path) -> None:
        text = (installed / path).read_text()
        assert text.count(before) == 1, f"{path} has no {before!r}"
        (installed / path).write_text(text.replace(before, after))

    return edit


def python_path(installed: Path) -> str:
    """A PYTHONPATH that leads there."""
    return os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))

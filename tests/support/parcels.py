"""The domain of one's own in examples/parcels, installed into a folder as a user would install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.local_stack import REPOSITORY, clean_environ

PACKAGE = REPOSITORY / "examples" / "parcels"


def install_parcels(folder: Path, edit: Callable[[Path], None] = lambda _: None) -> Path:
    """Install it below `folder`, after its source was edited; returns where."""
    source, target = folder / "source", folder / "site"
    # A copy, since building leaves files beside the sources.
    shutil.copytree(PACKAGE, source)
    edit(source)
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
    """An edit of one file of its source, for `install_parcels`."""

    def edit(source: Path) -> None:
        text = (source / path).read_text()
        assert text.count(before) == 1, f"{path} has no {before!r}"
        (source / path).write_text(text.replace(before, after))

    return edit


def python_path(installed: Path) -> str:
    """A PYTHONPATH that leads there."""
    return os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))

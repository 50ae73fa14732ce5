"""Files as they are opened where others may have put something in the way: links, pipes, files of the same name."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


def to_read(path: Path) -> IO[bytes]:
    """An open file; OSError, also for what is none: a pipe would let its reader wait for ever."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return file


def content(path: Path, most: int = 64 << 20) -> bytes:
    """All bytes of a file; OSError as `to_read`, and for more than so many bytes."""
    with to_read(path) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return found


@contextmanager
def written(path: Path, *, over: bool) -> Iterator[IO[bytes]]:
    """A new file, which lies at `path` as a whole once the block ends, or not at all; readable and writable by its owner alone.

    It is written under a name of its own in the same folder, which must not be a link, and no link at `path` is followed. over:
    whether it takes the place of what is there; else FileExistsError. OSError when it cannot be written.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    new = f".{path.name}.{secrets.token_hex(8)}.new"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, 0o600, dir_fd=folder), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if over:
            os.replace(new, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            _put(new, path.name, folder)
    finally:
        with suppress(OSError):
            os.unlink(new, dir_fd=folder)
        os.close(folder)


def _put(new: str, name: str, folder: int) -> None:
    """Give a file its name, which nothing may have yet."""
    try:
        os.link(new, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: the name is taken first.
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder))
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, for their owner alone; OSError, also where `path` is a link."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link; name the folder that it leads to", str(path))
    for missing in reversed([each for each in (path, *path.parents) if not each.exists()]):
        missing.mkdir(0o700, exist_ok=True)

"""Whether a port is free, and who holds it."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from stack_plan import Plan, StackError

LISTEN = "0A"


def refuse_taken(plan: Plan, name: str) -> None:
    """Raise StackError if another process listens where the named one is to."""
    for port in plan.ports(name):
        problem = why_unusable(port)
        if problem is None:
            continue
        program = name.partition("-")[0]
        option = f"--{program}-port (or {program.upper()}_PORT)"
        raise StackError(f"Port {port}, which {name} needs, {problem}: free it, or choose another with {option}.")


def why_unusable(port: int) -> str | None:
    """What keeps this user from listening on the port of 127.0.0.1; None if nothing does."""
    with socket.socket() as probe:
        # Connections in TIME_WAIT, left by a stack that has just ended, are no obstacle to a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                owner = owner_of(port)
                return f"is taken by {owner}" if owner else "is taken by another process"
            return f"cannot be listened on ({error.strerror})"
    return None


def owner_of(port: int) -> str | None:
    """The process that listens on the port, as far as /proc shows it to this user."""
    sockets = {f"socket:[{inode}]" for inode in listening_inodes(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        try:
            if str(link.readlink()) not in sockets:
                continue
            process = link.parents[1]
            name = (process / "comm").read_text().strip()
            return f"pid {process.name} ({name}, in {(process / 'cwd').readlink()})"
        except OSError:
            continue
    return None


def listening_inodes(port: int) -> set[str]:
    """The socket inodes that listen on the port, from /proc/net/tcp and tcp6 (proc(5)): local address, state, inode."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}") and fields[3] == LISTEN:
                inodes.add(fields[9])
    return inodes

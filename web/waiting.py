"""Code that was written to wait, run on an event loop: what it waits for is awaited, and others go on meanwhile.

A query of a projection is a plain function. `on_loop` runs it in a greenlet of its own; where it waits (`awaited`, `sleep`)
the greenlet is left until what it waits for is there. No thread changes hands, which is what makes this several
times as fast as a pool of threads (docs/performance.md). Code that waits by itself, past these, stops every other request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from greenlet import getcurrent, greenlet

P = ParamSpec("P")
T = TypeVar("T")


async def on_loop(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns, or raises."""
    inner = greenlet(lambda: function(*args, **kwargs), getcurrent())
    given: Any = inner.switch()
    while not inner.dead:
        try:
            got = await given
        except BaseException as error:
            given = inner.throw(error)
        else:
            given = inner.switch(got)
    return given  # type: ignore[no-any-return]


def awaited(waited_for: Awaitable[T]) -> T:
    """What comes of it; within `on_loop` alone."""
    loop = getcurrent().parent
    if loop is None:
        raise RuntimeError("only code that runs within on_loop can wait so")
    return loop.switch(waited_for)  # type: ignore[no-any-return]


def sleep(seconds: float) -> None:
    """As time.sleep, within `on_loop`."""
    awaited(asyncio.sleep(seconds))

"""What the front door hands to the rooms' commands: made when a command first asks for it, and not for one that does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, TypeVar

import click

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

# The keys in the context's `meta`.
WRITE_SIDE = "eventfold.producers"
READERS = "eventfold.projections"
RUNTIME = "eventfold.processors"
HISTORY = "eventfold.history"
SERVE = "eventfold.serving"


def handed(key: str) -> Callable[[Callable[Concatenate[T, P], R]], Callable[P, R]]:
    """Decorate a command: its first argument is what the function made that lies under `key` in the context's `meta`."""

    def decorated(f: Callable[Concatenate[T, P], R]) -> Callable[P, R]:
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            context = click.get_current_context()
            return context.invoke(f, context.meta[key](), *args, **kwargs)

        return update_wrapper(wrapped, f)

    return decorated

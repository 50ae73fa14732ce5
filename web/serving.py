"""Puts the server together from the installation, and runs it."""

from __future__ import annotations

from collections.abc import Mapping

from eventfold.processors.lookup.history import History
from eventfold.processors.runtime import Runtime
from eventfold.schemas.errors import UsageError
from eventfold.store.connection import RedisSettings
from eventfold.web.app import Served, application
from eventfold.web.bounds import Bounds
from eventfold.web.oauth.bearer import Bearer, Open
from eventfold.web.oauth.keys import IssuerKeys
from eventfold.web.oauth.settings import OAuthSettings, is_loopback
from eventfold.web.origins import Admission, SameOrigin
from eventfold.web.pages import page_folders
from eventfold.web.server import serve as run


def serve(
    runtime: Runtime,
    redis: RedisSettings,
    history: History,
    owners: Mapping[str, str],
    environ: Mapping[str, str],
    sides: frozenset[str],
    host: str,
    port: int,
) -> None:
    """Serve these sides until told to stop; UsageError for settings that are missing or wrong."""
    bounds = Bounds.from_environ(environ)
    settings = OAuthSettings.from_environ(environ)
    if settings is None and not is_loopback(host):
        raise UsageError(f"EVENTFOLD_OAUTH=off serves at a loopback address alone, and --host is {host}")
    access: Admission = Open()
    if settings is not None:
        access = Bearer(settings, IssuerKeys(settings), base_url=settings.base_url)
    served = Served(
        runtime=runtime,
        redis=redis,
        history=history,
        owners=owners,
        pages=page_folders(runtime.domain_names),
        access=SameOrigin(access, "" if settings is None else settings.base_url),
        sides=sides,
        oauth=settings,
        bounds=bounds,
    )
    run(application(served), host, port, bounds)

"""Puts the server together from the installation, and runs it."""

from __future__ import annotations

from collections.abc import Mapping

from processors.http.app import Served, application
from processors.http.server import serve as run
from processors.lookup.history import History
from processors.runtime import Runtime
from projections.reader import Readers
from projections.settings import RedisSettings
from schemas.errors import UsageError
from web.endpoint import Access
from web.oauth.bearer import Bearer, Open
from web.oauth.keys import IssuerKeys
from web.oauth.settings import OAuthSettings, is_loopback
from web.pages import page_folders


def serve(
    runtime: Runtime,
    redis: RedisSettings,
    readers: Readers,
    history: History,
    owners: Mapping[str, str],
    environ: Mapping[str, str],
    sides: frozenset[str],
    host: str,
    port: int,
) -> None:
    """Serve these sides until told to stop; UsageError for settings that are missing or wrong."""
    settings = OAuthSettings.from_environ(environ)
    if settings is None and not is_loopback(host):
        raise UsageError(f"LOGFOLD_OAUTH=off serves at a loopback address alone, and --host is {host}")
    access: Access = Open()
    if settings is not None:
        access = Bearer(settings, IssuerKeys(settings), base_url=settings.base_url)
    served = Served(
        runtime=runtime,
        redis=redis,
        readers=readers,
        history=history,
        owners=owners,
        pages=page_folders(runtime.domain_names),
        access=access,
        sides=sides,
        oauth=settings,
    )
    run(application(served), host, port)

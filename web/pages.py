"""The page that people look at: the shell under `/` and `/assets/`, and what each domain brings along under `/pages/`."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from eventfold.schemas.errors import UsageError
from eventfold.schemas.plugins import PAGES, load

SHELL = Path(__file__).parent / "shell"
ENTRY = "page.js"
# Nothing else is served: a folder of pages is a Python package, whose modules are nobody's business.
_MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_HEADERS = {
    "cache-control": "no-cache",
    # The page runs its own files and no others, and no text can become a script in it.
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'; require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def page_folders(domains: Iterable[str]) -> dict[str, Path]:
    """The folder of each domain's pages, of those domains that have some; UsageError for one without a `page.js`."""
    found: dict[str, Path] = {}
    for domain in domains:
        package = load(PAGES, domain)
        if package is None:
            continue
        folder = Path(getattr(package, "__file__", None) or "").parent
        if not (folder / ENTRY).is_file():
            raise UsageError(f"the domain {domain!r} declares {PAGES} = {package!r}, which is no package with a {ENTRY}")
        found[domain] = folder
    return found


def page_routes(pages: Mapping[str, Path]) -> list[BaseRoute]:
    """The routes of the page, which anyone may fetch: files only, no data.

    pages: a folder a domain (see page_folders).
    """
    listed = [{"domain": domain, "module": f"/pages/{domain}/{ENTRY}"} for domain in sorted(pages)]

    async def list_of_pages(request: Request) -> Response:
        return JSONResponse(listed, headers=_HEADERS)

    return [
        Route("/", _files(lambda _: (SHELL, "index.html"))),
        Route("/assets/{path:path}", _files(lambda request: (SHELL, request.path_params["path"]))),
        Route("/pages", list_of_pages),
        Route(
            "/pages/{domain}/{path:path}",
            _files(lambda request: (pages.get(request.path_params["domain"]), request.path_params["path"])),
        ),
    ]


def _files(which: Callable[[Request], tuple[Path | None, str]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers with the file of a folder; 404 where there is no such file, or none that is served."""

    async def run(request: Request) -> Response:
        folder, path = which(request)
        found = None if folder is None else await to_thread.run_sync(_read, folder, path)
        if found is None:
            raise HTTPException(404, f"there is no file {request.url.path}")
        body, media = found
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {**_HEADERS, "etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=media)

    return run


def _read(folder: Path, path: str) -> tuple[bytes, str] | None:
    """A file's bytes and media type; None for what lies outside of the folder, also by a link."""
    try:
        file = (folder / path).resolve()
        media = _MEDIA.get(file.suffix)
        if media is None or not file.is_relative_to(folder.resolve()) or not file.is_file():
            return None
        return file.read_bytes(), media
    except (OSError, ValueError):
        # A name that no file can have: too long, or with a zero byte.
        return None

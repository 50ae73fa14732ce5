"""What a client that has no token yet reads: whose tokens are taken, and what they can allow (RFC 9728)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from eventfold.web.oauth.settings import OAuthSettings

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def metadata_url(base_url: str) -> str:
    """Where the metadata of the server at `base_url` is; the path of one that has a path stands behind the well-known part."""
    parts = urlsplit(base_url)
    return urlunsplit((parts.scheme, parts.netloc, WELL_KNOWN + parts.path.rstrip("/"), "", ""))


def metadata(settings: OAuthSettings, base_url: str, scopes: Iterable[str]) -> dict[str, Any]:
    """The JSON object that is there. base_url: the address by which clients know the server. scopes: all that there are."""
    return {
        "resource": base_url,
        "authorization_servers": [settings.issuer],
        "scopes_supported": sorted(scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": "eventfold",
    }

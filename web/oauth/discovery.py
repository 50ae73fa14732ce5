"""What an issuer says about itself over HTTP, in JSON of a bounded size."""

from __future__ import annotations

from typing import Any

import httpx2

from eventfold.schemas.addresses import shown
from eventfold.schemas.json_text import parse_json
from eventfold.web.oauth.settings import is_safe

MOST_BYTES = 1_000_000


async def jwks_url(client: httpx2.AsyncClient, issuer: str) -> str:
    """Where an issuer's keys are, by its metadata: RFC 8414's, or else OpenID Connect's; ValueError when neither says it.

    Metadata that names another issuer is not believed.
    """
    root = issuer.rstrip("/")
    host = str(httpx2.URL(root).copy_with(path="/")).rstrip("/")
    path = root.removeprefix(host)
    for url in (f"{host}/.well-known/oauth-authorization-server{path}", f"{root}/.well-known/openid-configuration"):
        try:
            metadata = await get_json(client, url)
        except httpx2.HTTPStatusError as fault:
            if fault.response.is_server_error:
                raise
            continue
        except ValueError:
            continue
        found = metadata.get("jwks_uri")
        if metadata.get("issuer") == issuer and isinstance(found, str):
            if not is_safe(found):
                raise ValueError("its metadata names keys at an address that is not https")
            return found
    raise ValueError("no metadata of its own says where its keys are: set EVENTFOLD_OAUTH_JWKS_URL")


async def get_json(client: httpx2.AsyncClient, url: str) -> dict[str, Any]:
    """The JSON object at a URL; httpx2.HTTPError when it is not given, ValueError when it is too large or something else."""
    # Not compressed: the limit holds for what is kept, too.
    async with client.stream("GET", url, headers={"accept": "application/json", "accept-encoding": "identity"}) as response:
        response.raise_for_status()
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > MOST_BYTES:
                raise ValueError(f"{shown(url)} answers with more than {MOST_BYTES:,} bytes")
    found = parse_json(body)
    if not isinstance(found, dict):
        raise ValueError(f"{shown(url)} is no JSON object")
    return found

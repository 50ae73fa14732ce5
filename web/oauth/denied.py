"""A request that is not admitted, and how HTTP says so."""

from __future__ import annotations

from collections.abc import Mapping

from eventfold.schemas.errors import EventfoldError

REALM = "eventfold"
AGAIN_S = 10


class DeniedError(EventfoldError):
    """Why a request is not admitted, in a sentence that holds nothing of the token.

    status: 401 for no token or one that is not good, 403 for one that lacks a scope, 503 when it cannot be told. error: RFC
    6750's code, `invalid_token` or `insufficient_scope`; empty where there was no token, and for 503. scope: what is needed,
    where that is what lacks. metadata_url: where a client finds out whose tokens are taken (RFC 9728); empty when not known.
    """

    def __init__(self, status: int, detail: str, *, error: str = "", scope: str = "", metadata_url: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.error = error
        self.scope = scope
        self.metadata_url = metadata_url

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate` (RFC 6750, RFC 9728); empty for 503."""
        if self.status == 503:
            return ""
        said = {
            "realm": REALM,
            "error": self.error,
            "error_description": self.detail if self.error else "",
            "scope": self.scope,
            "resource_metadata": self.metadata_url,
        }
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in said.items() if value)

    @property
    def headers(self) -> Mapping[str, str]:
        """What the response must say in its header."""
        return {"retry-after": str(AGAIN_S)} if self.status == 503 else {"www-authenticate": self.challenge}

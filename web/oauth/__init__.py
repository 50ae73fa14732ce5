"""Who may ask: OAuth2 bearer tokens (RFC 6750) that are JWTs (RFC 9068), checked against the keys of their issuer."""

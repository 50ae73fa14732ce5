"""A request that is not admitted."""

from __future__ import annotations

from web.problems import Problem, ProblemError


def denied(detail: str, *, error: str = "invalid_token", status: int = 401, scope: str = "") -> ProblemError:
    """What is said to who is not admitted (RFC 6750). error: the code, none where there was no token at all."""
    challenge = 'Bearer realm="logfold"'
    if error:
        challenge += f', error="{error}", error_description="{detail}"'
    if scope:
        challenge += f', scope="{scope}"'
    kind = error.replace("_", "-") if error else "no-token"
    more = {"scope": scope} if scope else {}
    return ProblemError(Problem(status=status, kind=kind, detail=detail, more=more, headers={"www-authenticate": challenge}))

"""`GET /outcomes/...` and `GET /history/...`: what the log, or a handler's ledger, knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from eventfold.kafka.errors import KafkaException, said
from eventfold.processors.lookup.history import History
from eventfold.processors.lookup.outcome_finder import Kept, OutcomeFinder
from eventfold.schemas.errors import Transient, UnavailableError, UsageError
from eventfold.schemas.fingerprint import SIZE
from eventfold.schemas.ids import checked_id, checked_key
from eventfold.store.decided_ids import tag_of
from eventfold.store.outcomes import REUSED, Outcome, OutcomeUnknownError, reused_text
from eventfold.tools.log.told import told
from eventfold.web.commands.conditions import wait_s
from eventfold.web.commands.resources import outcome_response
from eventfold.web.connected import Waits, while_connected
from eventfold.web.endpoint import Access, endpoint
from eventfold.web.oauth.tokens import Caller
from eventfold.web.paths import aggregate_id
from eventfold.web.problems import Problem, ProblemError, wrong_parameter
from eventfold.web.queries.entity import answered
from eventfold.web.waiting import on_loop
from eventfold.web.workers import Workers


def outcome_routes(finder: OutcomeFinder, waits: Waits, domains: list[str], access: Access) -> list[BaseRoute]:
    """A route a domain that decides."""
    return [_outcome(finder, waits, domain, access) for domain in domains]


def _outcome(finder: OutcomeFinder, waits: Waits, domain: str, access: Access) -> Route:
    async def answer(request: Request, caller: Caller) -> Response:
        _refuse_parameters(request, "key", "of")
        try:
            id_ = checked_id(request.path_params["id"])
        except UsageError as error:
            raise ProblemError(Problem(status=400, kind="wrong-id", detail=str(error))) from None
        key, of = _key(request), _fingerprint(request)
        wait = 0.0 if waits.full else wait_s(request, caller)
        wait_for = waits.run if wait else while_connected
        headers = {"cache-control": "no-store"} | ({"preference-applied": f"wait={wait:g}"} if wait else {})
        try:
            found = await wait_for(request, on_loop, finder.outcome, id_, key, domain, wait)
            outcome = _told(found, caller, id_, key, of)
        except OutcomeUnknownError:
            detail = (
                "no such command of yours is known: it is not decided yet, or was decided longer ago than ids are kept, or "
                "Kafka never had it: ask again, or send it again with its id as Idempotency-Key, it acts only once"
            )
            more = {"command_id": id_}
            unknown = Problem(status=404, kind="outcome-unknown", detail=detail, more=more, headers={"retry-after": "1"})
            raise ProblemError(unknown) from None
        return outcome_response(outcome, headers)

    return Route(f"/outcomes/{domain}/{{id}}", endpoint(answer, access), methods=["GET"])


def _told(found: Kept, caller: Caller, id_: str, key: str, of: bytes | None) -> Outcome:
    """An outcome for who asks; OutcomeUnknownError where that is not who sent the command."""
    if caller.actor and found.asking.asker != tag_of(caller.actor):
        raise OutcomeUnknownError(id_, "to who asks")
    if of is not None and not found.asking.fits(of):
        return Outcome(command_id=id_, accepted=False, code=REUSED, message=reused_text(id_, key))
    return found.outcome


def _key(request: Request) -> str:
    given = request.query_params.getlist("key")
    if len(given) != 1:
        raise wrong_parameter("key", "must be given once: the id of the aggregate that the command was sent to")
    try:
        return checked_key(given[0])
    except UsageError as error:
        raise wrong_parameter("key", f"cannot be taken: {error}") from None


def _fingerprint(request: Request) -> bytes | None:
    """What the command asked for, as the `Location` of its answer has it."""
    given = request.query_params.getlist("of")
    if not given:
        return None
    try:
        found = bytes.fromhex(given[0])
    except ValueError:
        found = b""
    if len(given) != 1 or len(found) != SIZE:
        raise wrong_parameter("of", f"must be given once, as {2 * SIZE} hex digits")
    return found


class Histories:
    """Aggregates' events, read from the log by a few threads: a scan of a partition takes its time, and Kafka's."""

    def __init__(self, history: History, reads: Workers) -> None:
        self._history = history
        self._reads = reads

    def routes(self, domains: list[str], access: Access) -> list[BaseRoute]:
        """A route a domain."""
        return [self._route(domain, access) for domain in domains]

    def _route(self, domain: str, access: Access) -> Route:
        async def answer(request: Request, _: Caller) -> Response:
            _refuse_parameters(request)
            key = aggregate_id(request, 2)
            return await while_connected(request, self._reads.run, self._answer, request, domain, key)

        return Route(f"/history/{domain}/{{id:path}}", endpoint(answer, access, f"{domain}:read"), methods=["GET"])

    def _answer(self, request: Request, domain: str, key: str) -> Response:
        with _kafka_may_be_away():
            rows = [told(self._history.codec, record) for record in self._history.of_domain(domain, key).records]
        return answered(request, rows, {})


@contextmanager
def _kafka_may_be_away() -> Iterator[None]:
    try:
        yield
    except (KafkaException, Transient) as error:
        fault = said(error) if isinstance(error, KafkaException) else error
        raise UnavailableError(f"the log cannot be read now, ask again later: {fault}") from error


def _refuse_parameters(request: Request, *known: str) -> None:
    for name in request.query_params:
        if name not in known:
            raise wrong_parameter(name, "is not known")

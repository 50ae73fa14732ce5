"""A read model whose index an earlier eventfold made: nobody reads a page of nothing, and a replay mends it."""

from __future__ import annotations

import orjson

from tests.support import commands
from tests.support.sandbox import Sandbox

PAGE = ("query", "board", "JFK", "--date", "2013-02-08")


def age(sandbox: Sandbox) -> None:
    """Make the live generation of `board` one of before: it says nothing of the form of its members, and they have another."""
    generation = sandbox.reader("board").generation
    for slice_ in generation.slices():
        for member in sandbox.redis.zrangebylex(slice_.key("by_time"), "-", b"(\xff"):
            sandbox.redis.zrem(slice_.key("by_time"), member)
            sandbox.redis.zadd(slice_.key("by_time"), {member.replace(b"\0\0", b"\t").replace(b"\0", b"|"): 0})
    live, registry = (f"{{{sandbox.prefix}board}}:{name}" for name in ("live", "generations"))
    for stored in (sandbox.redis.get(live), sandbox.redis.hget(registry, generation.id)):
        body = orjson.loads(stored or b"")
        assert body.pop("members") == 2
        if "generation" in body:
            sandbox.redis.set(live, orjson.dumps(body))
        else:
            sandbox.redis.hset(registry, generation.id, orjson.dumps(body))


def test_it_waits_for_its_replay_and_is_not_listed_meanwhile(sandbox: Sandbox) -> None:
    handler, projector = sandbox.handler(), sandbox.projector("board")
    for number in range(3):
        assert commands.schedule(sandbox, number).accepted
    sandbox.caught_up("board")
    shown = sandbox.json(*PAGE)
    assert len(shown["entries"]) == 3
    assert (handler.stop(), projector.stop()) == (0, 0)
    age(sandbox)
    waiting = sandbox.start("run", "projector", "board")
    waiting.wait_for_log("with indexes of an older form")
    assert "eventfold replay board" in sandbox.fails(1, *PAGE)
    assert "with indexes of an older form" in sandbox.fails(1, "verify", "board")
    assert "live now" in sandbox.ok("replay", "board")
    waiting.wait_for_log("assigned")
    assert sandbox.json(*PAGE) == shown
    assert sandbox.json("verify", "board")["equal"]

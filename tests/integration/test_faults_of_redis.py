"""A Redis that refuses: what passes is waited for, what lasts ends a daemon, and each is said where one looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from redis import Redis, RedisError

from eventfold.store.errors import told
from eventfold.store.heartbeats import Heartbeat, daemons, ended, why
from tests.support import flights, log
from tests.support.deadline import eventually
from tests.support.sandbox import OpenSandbox, Sandbox


@pytest.fixture
def break_rules(own_redis: str) -> Callable[..., str]:
    """What a user is told, of a Redis whose administrator has done something, when it writes."""

    def told_of(*done: str, script: bool = False) -> str:
        with Redis.from_url(own_redis) as admin, Redis.from_url(own_redis, username="bob", password="s3cret") as bob:
            admin.execute_command("ACL", "SETUSER", "bob", "on", ">s3cret", "~*", "+@all")
            admin.execute_command(*done)
            written = ("EVAL", "return redis.call('HSET', KEYS[1], 'a', 'b')", 1, "h") if script else ("HSET", "h", "a", "b")
            with pytest.raises(RedisError) as raised:
                bob.execute_command(*written)
            return told(raised.value, bob)

    return told_of


@pytest.mark.parametrize(
    ("done", "script", "says"),
    [
        (("ACL", "SETUSER", "bob", "-hset"), False, "run the 'hset' command (user bob): allow it, `ACL SETUSER bob +hset`"),
        (
            ("ACL", "SETUSER", "bob", "-hset"),
            True,
            "(user bob): let it do what eventfold's scripts do, `ACL SETUSER bob ~* +@read +@write`",
        ),
        (("ACL", "SETUSER", "bob", ">other", "<s3cret"), False, "(user bob): look at the user and the password in REDIS_URL"),
        (("CONFIG", "SET", "maxmemory", "1mb"), False, "MB are used of 1.0 MB): raise maxmemory"),
        (("CONFIG", "SET", "maxmemory", "1mb"), True, "MB are used of 1.0 MB): raise maxmemory"),
        (("REPLICAOF", "127.0.0.1", "1"), True, "a failover is under way, or REDIS_URL names a replica"),
    ],
)
def test_it_says_who_may_not_do_what_and_what_to_do(
    break_rules: Callable[..., str], done: tuple[str, ...], script: bool, says: str
) -> None:
    text = break_rules(*done, script=script)
    assert says in text
    assert text.startswith("Redis at ") and "s3cret" not in text


@pytest.fixture
def guarded(open_sandbox: OpenSandbox, own_redis: str) -> Iterator[Sandbox]:
    """A sandbox whose Redis is its own; its daemons may be let in as `bob`."""
    with open_sandbox(partitions=1, REDIS_URL=own_redis) as sandbox:
        sandbox.redis.execute_command("ACL", "SETUSER", "bob", "on", ">s3cret", "~*", "+@all")
        yield sandbox


def as_bob(sandbox: Sandbox) -> str:
    return sandbox.environ["REDIS_URL"].replace("unix://", "unix://bob:s3cret@")


def write_one(sandbox: Sandbox, number: int) -> None:
    key = flights.flight_id(number)
    log.write_event(sandbox, "flights.FlightScheduled", key, flights.scheduled(number))


def said(sandbox: Sandbox, name: str) -> dict[str, Any]:
    return next((body for body in sandbox.status() if body["name"] == name), {})


def test_a_right_that_is_taken_away_ends_a_daemon_and_is_told(guarded: Sandbox) -> None:
    projector = guarded.projector("flights", REDIS_URL=as_bob(guarded))
    guarded.redis.execute_command("ACL", "SETUSER", "bob", "-evalsha")
    write_one(guarded, 1)
    assert projector.ended() == 1
    sentence = "run the 'evalsha' command (user bob): allow it, `ACL SETUSER bob +evalsha`"
    assert sentence in projector.log.splitlines()[-1]
    body = said(guarded, "flights@one")
    assert sentence in body["ended"] and body["alive"] is False
    done = guarded.run("status")
    assert "ended by itself" in done.stdout and "silent" not in done.stdout
    assert "flights@one: ended by itself" in done.stderr and sentence in done.stderr
    report = guarded.run("doctor")
    assert report.returncode == 1 and sentence in report.stdout
    # Once it may again, it goes on, and its last words are gone.
    guarded.redis.execute_command("ACL", "SETUSER", "bob", "+evalsha")
    guarded.projector("flights", REDIS_URL=as_bob(guarded))
    guarded.caught_up("flights")
    eventually(lambda: said(guarded, "flights@one").get("alive"), "it lives")
    assert "ended" not in said(guarded, "flights@one")


def test_a_redis_that_is_full_is_waited_for_and_told(guarded: Sandbox) -> None:
    projector = guarded.projector("flights")
    eventually(lambda: said(guarded, "flights@one"), "it gives a sign of life")
    guarded.redis.config_set("maxmemory", "1mb")
    write_one(guarded, 1)
    body = eventually(lambda: it if "trouble" in (it := said(guarded, "flights@one")) else {}, "it says that it waits")
    assert body["alive"] is True and "MB are used of 1.0 MB): raise maxmemory" in body["trouble"]
    done = guarded.run("status")
    assert "waits for what passes" in done.stdout
    assert "Redis is full" in done.stderr and "flights@one: waits: Redis at" in done.stderr
    assert "it is full" in guarded.run("doctor").stdout
    guarded.redis.config_set("maxmemory", "0")
    guarded.caught_up("flights")
    eventually(lambda: "trouble" not in said(guarded, "flights@one"), "it waits for nothing more")
    assert projector.runs


def test_how_it_ended_is_not_written_over_another_that_lives_under_its_name(guarded: Sandbox) -> None:
    redis, about = guarded.redis, {"projection": "flights"}
    Heartbeat(redis, "x.", "flights@one", "projector").beat(3, lambda: {**about, "partitions": {"e/0": 7}, "trouble": "full"})
    ended(redis, "x.", "flights@one", "projector", about, "the log was cut short")
    body = daemons(redis, "x.")["flights@one"]
    assert (body["events"], body["partitions"], body["alive"]) == (3, {}, False)
    assert "trouble" not in body and (why(body) or "").endswith("the log was cut short")
    other = orjson.dumps({**body, "pid": 1})
    redis.hset("x.eventfold:daemons", "flights@one", other)
    ended(redis, "x.", "flights@one", "projector", about, "again")
    assert daemons(redis, "x.")["flights@one"]["ended"] == "again"
    living = orjson.dumps({key: of for key, of in body.items() if key != "ended"} | {"pid": 1})
    redis.hset("x.eventfold:daemons", "flights@one", living)
    ended(redis, "x.", "flights@one", "projector", about, "fenced")
    assert daemons(redis, "x.")["flights@one"]["alive"] is True

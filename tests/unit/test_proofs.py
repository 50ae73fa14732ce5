"""What is kept of a decided id: the proof gives back what went into it."""

from __future__ import annotations

import random

import pytest

from eventfold.schemas.errors import EventfoldError
from eventfold.schemas.ids import scoped_id
from eventfold.schemas.message import Actor
from eventfold.store.decided_ids import (
    Asking,
    asking_of,
    offsets_of,
    outcome_of_events,
    outcome_of_refusal,
    proof_of_events,
    proof_of_refusal,
    tag_of,
)
from eventfold.store.outcomes import Outcome

ID = "00000000-0000-4000-8000-000000000001"
ASKED = [Asking(), Asking(bytes(range(16))), Asking(b"", tag_of("me")), Asking(bytes(16), tag_of(Actor("me", "person")))]


@pytest.mark.parametrize("asking", ASKED)
def test_of_an_accepted_command(asking: Asking) -> None:
    seed = random.randrange(2**32)
    print(f"seed={seed}")
    chance = random.Random(seed)
    for _ in range(200):
        offsets = sorted(chance.sample(range(2 ** chance.randrange(3, 62)), chance.randrange(0, 6)))
        version = chance.randrange(2 ** chance.randrange(1, 62))
        proof = proof_of_events(asking, (version, 7), offsets)
        outcome = outcome_of_events(ID, "t", 3, proof)
        assert (outcome.accepted, outcome.version) == (True, version)
        assert [(of.topic, of.partition, of.offset) for of in outcome.positions] == [("t", 3, offset) for offset in offsets]
        assert offsets_of(proof) == offsets and asking_of(proof) == asking


@pytest.mark.parametrize("asking", ASKED)
@pytest.mark.parametrize("version", [None, 0, 1, 127, 128, 2**40])
@pytest.mark.parametrize(("code", "message"), [("no", "so"), ("", ""), ("ø" * 200, "\x00\n" * 2_000)])
def test_of_a_refused_command(asking: Asking, version: int | None, code: str, message: str) -> None:
    outcome = Outcome(command_id=ID, accepted=False, version=version, code=code, message=message)
    proof = proof_of_refusal(asking, outcome)
    assert outcome_of_refusal(ID, proof) == outcome and asking_of(proof) == asking


def test_a_proof_is_small() -> None:
    assert len(scoped_id(ID, "K" * 512)) == 16
    assert len(proof_of_events(Asking(bytes(16), tag_of("me")), (3,), [1_000_000])) == 32


def test_a_proof_of_a_form_that_is_not_known_is_an_error() -> None:
    with pytest.raises(EventfoldError, match="has the form 02"):
        asking_of(b"\x02\x00")


def test_what_was_decided_before_there_were_fingerprints_fits_any() -> None:
    assert Asking().fits(bytes(16)) and Asking(bytes(16)).fits(bytes(16)) and not Asking(bytes(16)).fits(b"x" * 16)

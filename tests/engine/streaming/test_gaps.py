"""How long a stream was silent, as its attempt measures it."""

from __future__ import annotations

from tests.actors.dispatcher.made import candidates, flight, spec
from understudy.streaming import silence
from understudy_actors.domain.delta import TextDelta


def test_silence_between_two_tokens_goes_on_through_what_is_no_token() -> None:
    """A comment that keeps the connection alive is no token."""
    (candidate,) = candidates(spec("a"))
    seen = silence.Silence(flight(), candidate, 0.0)
    seen.heard(1.0, 1.0, [TextDelta("one")], begun=True)
    seen.heard(3.0, 2.0, [], begun=True)
    seen.heard(6.0, 3.0, [TextDelta("two")], begun=True)
    seen.heard(7.0, 1.0, [TextDelta("three")], begun=True)
    assert seen.pace(7.0, None).gap_s == 5.0
    assert seen.pace(7.0, None).first_token_s == 1.0

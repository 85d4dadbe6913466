"""Laws of going on with a text: what is let through is exactly what was missing."""

from __future__ import annotations

import itertools
from types import ModuleType

from hypothesis import example as case, given, strategies as st

from understudy.streaming import splice

TEXTS = st.text(st.sampled_from("ab \n\u00e9\U0001f600"), max_size=30)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    """`text`, cut at these places."""
    places = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(places)]


def check_exact(module: ModuleType) -> None:
    @given(expected=TEXTS, text=TEXTS, repeats=st.booleans(), cuts=st.lists(st.integers(0, 60)))
    @case(expected="ab", text="", repeats=True, cuts=[])
    @case(expected="ab", text="c", repeats=True, cuts=[1, 2])
    @case(expected="ab", text="ac", repeats=False, cuts=[1])
    @case(expected="aab", text="aaab", repeats=False, cuts=[])
    def law(expected: str, text: str, repeats: bool, cuts: list[int]) -> None:
        text = expected + text if repeats else text
        machine, released, diverged = module.Splice(expected), "", False
        seen = ""
        for piece in pieces_of(text, cuts):
            seen += piece
            try:
                released += machine.text(piece)
            except module.Diverged:
                diverged = True
                break
            # What was let through, behind what was expected, is what came in; the rest is held.
            if machine.joined:
                assert expected + released == seen
            else:
                assert released == ""
                assert expected.startswith(seen)
        shared = min(len(expected), len(seen))
        assert diverged == (seen[:shared] != expected[:shared])
        if diverged:
            assert released == ""
        assert machine.joined == (not diverged and text.startswith(expected))
        ended_early = False
        try:
            machine.other()
        except module.Diverged:
            ended_early = True
        assert ended_early == (not machine.joined)

    law()


def check_echo(module: ModuleType) -> None:
    @given(
        delivered=TEXTS.filter(bool),
        blanks=st.sampled_from(["", " ", "\n "]),
        text=TEXTS,
        repeats=st.booleans(),
        cuts=st.lists(st.integers(0, 60)),
    )
    @case(delivered="ab", blanks=" ", text="abab", repeats=False, cuts=[1, 3])
    @case(delivered="ab", blanks="", text="a", repeats=False, cuts=[])
    @case(delivered="ab", blanks="", text="ac", repeats=False, cuts=[1])
    @case(delivered="ab", blanks="", text="", repeats=True, cuts=[1])
    def law(delivered: str, blanks: str, text: str, repeats: bool, cuts: list[int]) -> None:
        delivered += blanks
        text = delivered + text if repeats else text
        machine, released, seen, diverged = (
            module.Echo(delivered, module.Splice(blanks)),
            "",
            "",
            False,
        )
        for piece in pieces_of(text, cuts):
            seen += piece
            try:
                released += machine.text(piece)
            except module.Diverged:
                diverged = True
                break
        if seen.startswith(delivered):
            assert released == seen[len(delivered) :]
        elif delivered.startswith(seen):
            assert (released, machine.joined) == ("", False)  # it may still become a repetition
        elif seen.startswith(blanks):
            assert released == seen[len(blanks) :]
        else:
            assert released == ""
            assert diverged or blanks.startswith(seen)

    law()


def test_who_was_given_the_beginning_is_let_through_from_where_it_goes_on() -> None:
    check_echo(splice)


def test_what_is_let_through_is_exactly_what_was_missing() -> None:
    check_exact(splice)

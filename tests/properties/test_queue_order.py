"""Laws of the order of service: fair shares, rising bands, and lines that standing delay turns."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

from hypothesis import given, settings, strategies as st

from tests.actors.dispatcher.made import many
from understudy_actors.dispatcher import order, queue

TENANTS = ("a", "b", "c")
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.5}
LARGEST = 1000

arrivals = st.tuples(st.sampled_from(TENANTS), st.integers(1, LARGEST))
steps = st.lists(st.one_of(arrivals, st.none()), max_size=120)


def check_shares(module: ModuleType) -> None:
    """While two tenants both wait, what they got over their weights differs by a request each."""

    @given(st.lists(arrivals, max_size=40), steps)
    @settings(deadline=None)
    def law(crowd: list[tuple[str, int]], history: list[tuple[str, int] | None]) -> None:
        everybody = many(1)
        line: Any = module.Order(module.WaitingRule(shares=WEIGHTS))
        tickets = itertools.count(1)
        got = dict.fromkeys(TENANTS, 0.0)
        waiting = dict.fromkeys(TENANTS, 0)
        seen: dict[tuple[str, str], list[float]] = {}
        for step in [*crowd, *history, *([None] * 200)]:
            if step is not None:
                tenant, tokens = step
                ticket = next(tickets)
                line.add(
                    module.Waiter(ticket, everybody, bool, tenant=tenant, tokens=float(tokens)), 0.0
                )
                waiting[tenant] += 1
            elif (served := line.next(1, 0.0)) is not None:
                waiting[served.tenant] -= 1
                got[served.tenant] += served.tokens / WEIGHTS[served.tenant]
            for one, other in itertools.combinations(TENANTS, 2):
                if not (waiting[one] and waiting[other]):
                    seen.pop((one, other), None)
                    continue
                apart = seen.setdefault((one, other), [])
                apart.append(got[one] - got[other])
                most = LARGEST / WEIGHTS[one] + LARGEST / WEIGHTS[other]
                assert max(apart) - min(apart) <= most + 1e-6
        assert not len(line), "everybody was served"

    law()


def check_long_run(module: ModuleType) -> None:
    """In the long run shares are as the weights, and who was away has no claim to the past."""
    everybody, tickets = many(1), itertools.count(1)
    line: Any = module.Order(module.WaitingRule(shares={"b": 2.0}))

    def crowd(tenant: str, count: int) -> None:
        for _ in range(count):
            waiter = module.Waiter(next(tickets), everybody, bool, tenant=tenant, tokens=10.0)
            line.add(waiter, 0.0)

    def serve(count: int) -> str:
        return "".join(line.next(1, 0.0).tenant for _ in range(count))

    crowd("a", 100)
    assert serve(40) == "a" * 40
    crowd("b", 100)
    turns = serve(60)
    assert 39 <= turns.count("b") <= 41, "two thirds, and nothing for its absence"
    assert "bbb" not in turns
    line = module.Order(module.WaitingRule())
    line.add(module.Waiter(next(tickets), everybody, bool, tenant="a", tokens=1000.0), 0.0)
    assert serve(1) == "a"
    crowd("b", 50)
    crowd("a", 1)
    assert serve(51) == "b" * 50 + "a", "who had much is behind, though it had left the line"


def check_memory(module: ModuleType) -> None:
    """However many tenants come and go, a bounded number is remembered: who got the most."""
    everybody, tickets = many(1), itertools.count(1)
    line: Any = module.Order(module.WaitingRule())

    def wait(tenant: str, tokens: float) -> None:
        line.add(module.Waiter(next(tickets), everybody, bool, tenant=tenant, tokens=tokens), 0.0)

    for number in range(3000):
        wait("big" if number == 10 else f"t{number}", 1e6 if number == 10 else 10.0)
        line.next(1, 0.0)
    assert sum(len(band.shares._ahead) for band in line._bands.values()) <= 1000
    for tenant, tokens in (("big", 10.0), ("new", 10.0)):
        wait(tenant, tokens)
    assert line.next(1, 0.0).tenant == "new", "who got the most is not forgotten"


def check_starvation(module: ModuleType) -> None:
    """However many come with higher priority, who has waited long enough is served among them."""
    everybody = many(1)
    rule = module.WaitingRule(ageing_s=10.0)
    line: Any = module.Order(rule)
    line.add(module.Waiter(1, everybody, bool, priority=-3, tenant="old"), 0.0)
    served_at = None
    for second in range(1, 100):
        waiter = module.Waiter(second + 1, everybody, bool, priority=3, since=float(second))
        line.add(waiter, float(second))
        if line.next(1, float(second)).tenant == "old":
            served_at = second
            break
    assert served_at == 60, "six steps of ten seconds"
    line = module.Order(rule)
    for ticket in range(1, 40):
        line.add(module.Waiter(ticket, everybody, bool, tenant="flood"), 0.0)
    for second in range(1, 30):
        assert line.next(1, float(second)).band == 0, "whose kin are served are not starved"
    line.add(module.Waiter(99, everybody, bool, tenant="modest", since=29.0), 29.0)
    assert line.next(1, 29.5).tenant == "modest"
    line = module.Order(rule)
    top = module.Waiter(1000, everybody, bool, priority=3, since=100.0)
    line.add(top, 100.0)
    line.age(1000.0)
    assert top.band == 3, "there is nothing above the top"
    back = None
    for _ in range(4):  # it leaves and comes back with its ticket, and was lifted once in all
        back = module.Waiter(2000, everybody, bool, since=2000.0)
        line.add(back, 2005.0)
        line.remove(2000)
    line.add(back, 2005.0)
    line.age(2015.0)
    assert back is not None
    assert back.band == 1


def check_turning(module: ModuleType) -> None:
    """The newest comes first only after delay has stood for the window, and until it is gone."""
    everybody = many(1)
    line: Any = module.Order(module.WaitingRule(ageing_s=1e6, standing_s=0.5, window_s=5.0))

    def add(ticket: int, since: float) -> None:
        line.add(module.Waiter(ticket, everybody, bool, since=since), since)

    for ticket in range(1, 9):
        add(ticket, 0.0)
    assert line.next(1, 1.0).ticket == 1, "the delay has just been noticed"
    assert line.next(1, 5.9).ticket == 2, "4.9 s of it"
    assert line.next(1, 6.0).ticket == 8, "5 s of it"
    add(9, 6.5)
    assert line.next(1, 6.6).ticket == 9
    assert [line.next(1, 7.0).ticket for _ in range(5)] == [7, 6, 5, 4, 3]
    add(10, 20.0)
    add(11, 20.1)
    assert line.next(1, 20.2).ticket == 10, "an empty line has no delay"
    assert line.next(1, 20.3).ticket == 11
    add(12, 30.0)
    add(13, 30.9)
    assert line.next(1, 31.0).ticket == 12, "it begins to stand"
    add(14, 31.2)
    assert line.next(1, 31.3).ticket == 13, "and is over: the oldest had waited 0.4 s"
    add(15, 36.0)
    assert line.next(1, 36.5).ticket == 14, "it begins anew"


def check_masks(module: ModuleType) -> None:
    """Only whom a free candidate can serve is next, and whoever counts is counted once."""
    everybody = many(3)
    line: Any = module.Order(module.WaitingRule())
    line.add(module.Waiter(1, everybody[:1], bool), 0.0)
    line.add(module.Waiter(2, everybody[1:], bool, priority=1), 0.0)
    line.add(module.Waiter(3, everybody[2:], bool), 0.0)
    assert line.wanted() == 0b111
    assert [line.ahead(0b001, 0), line.ahead(0b110, 0), line.ahead(0b100, 1)] == [1, 2, 1]
    assert line.next(0b001, 0.0).ticket == 1
    assert line.next(0b001, 0.0) is None
    assert line.wanted() == 0b110
    assert line.remove(2).ticket == 2
    assert line.remove(2) is None
    assert (len(line), line.wanted(), line.ahead(0b111, -3)) == (1, 0b100, 1)
    line.add(module.Waiter(4, everybody[2:], bool, priority=3, deadline=5.0), 0.0)
    assert line.next(0b100, 5.0).ticket == 3, "a slot at its deadline is of no use to the other"


def check_coming_back(module: ModuleType) -> None:
    """Whoever was woken in vain counts once in its tenant's share, not again."""
    everybody = many(1, weight=1.0)
    everybody[0].limit = 2
    everybody[0].in_flight = 2
    line: Any = module.SlotQueue()

    def join(tenant: str, ticket: int = 0) -> int:
        joined: int = line.join(everybody, ticket, lambda: True, tenant=tenant, tokens=9.0).ticket
        return joined

    first, *_ = [join("a"), join("a"), join("a"), join("b"), join("b")]
    everybody[0].in_flight = 1
    assert [each.waiter.ticket for each in line.wake(0.0)] == [first]
    join("a", first)  # somebody else took the slot
    order = []
    for _ in range(5):
        woken = line.wake(0.0)
        order += [each.waiter.tenant for each in woken]
        for each in woken:
            line.leave(each.waiter.ticket)
    assert order == ["b", "a", "a", "b", "a"], "after one of a and one of b they are even"
    came = line.join(everybody, 0, bool, now=50.0, since=20.0, deadline=60.0)
    assert (came.since, came.deadline) == (20.0, 60.0)
    line, everybody[0].in_flight = module.SlotQueue(), 1
    gone, here = (line.join(everybody, 0, lambda there=each: there) for each in (False, True))
    turns = [(each.waiter, each.candidate) for each in line.wake(0.0)]
    assert turns == [(gone, None), (here, everybody[0])], "who has left keeps no slot"


CHECKS = (check_shares, check_long_run, check_memory, check_starvation, check_turning, check_masks)


def test_shares_are_fair_to_within_a_request_of_each() -> None:
    check_shares(order)


def test_in_the_long_run_weights_are_kept() -> None:
    check_long_run(order)


def test_tenants_who_have_gone_are_forgotten_in_the_end() -> None:
    check_memory(order)


def test_nobody_starves() -> None:
    check_starvation(order)


def test_who_comes_back_is_not_charged_again() -> None:
    check_coming_back(queue)


def test_delay_that_stands_turns_the_line_round() -> None:
    check_turning(order)


def test_a_slot_finds_whom_it_can_serve() -> None:
    check_masks(order)

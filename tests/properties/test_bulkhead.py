"""Laws of bulkheads: who belongs to which compartment, and how much that may hold."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType

from hypothesis import given, strategies as st

from understudy_actors.domain import bulkhead
from understudy_actors.domain.request import Request

names = st.sampled_from(["", "a", "b"])
portions = st.floats(0.001, 1.0)
priorities = st.integers(-3, 3)


def check_most(module: ModuleType) -> None:
    """A compartment holds its share rounded down, at least one slot, never more than there are."""

    @given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 300))
    def law(part: int, whole: int, limit: int) -> None:
        part = min(part, whole)
        most = module.Compartment("x", part / whole).most(limit)
        assert most == max(1, Fraction(part, whole) * limit // 1)
        assert 1 <= most <= limit

    law()
    assert module.Compartment("x", 0.29).most(100) == 29, "28.999999999999996 as floats go"


def check_membership(module: ModuleType) -> None:
    """A request belongs to what its operation, tenant and priority are named in, and no other."""

    @given(
        st.dictionaries(st.sampled_from(["chat", "image"]), portions),
        st.dictionaries(st.sampled_from(["a", "*"]), portions),
        st.dictionaries(priorities, portions),
        names,
        names,
        priorities,
    )
    def law(
        operations: dict[str, float],
        tenants: dict[str, float],
        levels: dict[int, float],
        tenant: str,
        user: str,
        priority: int,
    ) -> None:
        rule = module.ShareRule(operations=operations, tenants=tenants, priorities=levels)
        request = Request.chat("hi", tenant=tenant or None, user=user or None, priority=priority)
        found = {each.name: each.share for each in rule.compartments(request)}
        expected = {f"priority {at}": share for at, share in levels.items() if priority <= at}
        if "chat" in operations:
            expected["operation chat"] = operations["chat"]
        own = tenant or user
        if own in tenants:
            expected[f"tenant {own}"] = tenants[own]
        elif "*" in tenants:
            expected[f"tenant {own}"] = tenants["*"]
        assert found == expected

    law()


def check_full(module: ModuleType) -> None:
    """One compartment without room is enough."""
    half, all_of_it = module.Compartment("half", 0.5), module.Compartment("all", 1.0)
    assert not module.full({}, (), 1)
    assert not module.full({"half": 3, "all": 3}, (half, all_of_it), 8)
    assert module.full({"half": 4, "all": 4}, (half, all_of_it), 8)
    assert module.full({"half": 5}, (all_of_it, half), 8), "the limit was lowered"
    assert not module.full({"half": 4}, (all_of_it,), 8), "another's"


BULKHEADS = (check_most, check_membership, check_full)


def test_a_share_is_rounded_down_to_slots() -> None:
    check_most(bulkhead)


def test_a_request_belongs_where_it_is_named() -> None:
    check_membership(bulkhead)


def test_one_full_compartment_is_enough() -> None:
    check_full(bulkhead)

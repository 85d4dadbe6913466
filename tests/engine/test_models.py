"""Every name that an engine tells of is one that requests may use, and no other is left out."""

from __future__ import annotations

from hypothesis import given, strategies as st

from understudy.models import ANY, routable
from understudy_actors.dispatcher.select import serves
from understudy_actors.domain.candidate import EndpointSpec

NAMES = st.sampled_from(["a", "b", "a/b", "big", "small", ANY])
SPECS = st.lists(
    st.builds(
        EndpointSpec,
        provider=st.sampled_from(["a", "b"]),
        model=st.sampled_from(["big", "small", "b"]),
        operations=st.sets(st.sampled_from(["chat", "embedding"]), min_size=1).map(tuple),
        groups=st.sets(NAMES).map(tuple),
        enabled=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda spec: spec.name,
)


@given(SPECS)
def test_a_name_is_told_of_with_exactly_those_who_serve_it(specs: list[EndpointSpec]) -> None:
    named = [each for each in specs if each.enabled]
    found = {each.name: each for each in routable(specs)}
    assert len(found) == len(routable(specs)), "each name once"
    assert {each.model for each in named} | {each.name for each in named} <= set(found)
    for name, model in found.items():
        exactly = [each for each in named if name in (*each.groups, each.model, each.name)]
        assert model.endpoints == tuple(each.name for each in exactly)
        assert all(serves(each, name) for each in exactly)
        assert set(model.operations) == {o for each in exactly for o in each.operations}
    assert ANY not in found

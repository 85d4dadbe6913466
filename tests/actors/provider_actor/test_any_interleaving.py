"""A provider actor under any interleaving of attempts, hands, time and crashes."""

from __future__ import annotations

from types import ModuleType

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.actors.dispatcher.made import spec
from tests.actors.provider_actor.house import DAY_S, House
from tests.actors.provider_actor.ledger import Ledger
from understudy_actors.domain.bulkhead import Compartment, Compartments
from understudy_actors.domain.candidate import NO_SHARE, NO_SLOT, FreeQuota
from understudy_actors.domain.outcome import POLICY, ErrorClass, HoldKind, Scope, Verdict
from understudy_actors.provider import actor
from understudy_actors.provider.messages import (
    Admin,
    Checked,
    HoldScope,
    Permit,
    ReleaseScope,
    Report,
    ResetScope,
    SetAdmin,
)

COUNT = 2
QUOTA = 3
HALF, THIRD = Compartment("half", 0.5), Compartment("third", 1 / 3)
index = st.integers(0, COUNT - 1)
anywhere = st.sampled_from([None, "p/m0", "p/m1"])
ENDS = (ErrorClass.SERVER, ErrorClass.CONNECT)
endings = st.sampled_from([None] * 4 + [*ENDS] * 4 + [*ErrorClass])
hints = st.sampled_from([None, None, 1.0, 8.0])


def provider_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Any interleaving, on the provider actor of `module`."""

    class AnyInterleaving(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.ledger = Ledger()
            self.returned: list[Permit] = []
            self.free_used: dict[int, int] = {}
            self.free_taken: dict[int, int] = {}
            self.bombs = 0

        @initialize(domain=st.sampled_from([None, "host"]))
        def build(self, domain: str | None) -> None:
            self.domain = None if domain is None else f"domain {domain} of p"
            self.house = House(
                spec("p", "m0"),
                spec("p", "m1", free_quota=FreeQuota(QUOTA)),
                module=module,
                now=20 * DAY_S - 40,
                failure_domain=domain,
            )

        def running(self) -> bool:
            return self.house.up

        @precondition(running)
        @rule(
            index=index,
            timeout_s=st.sampled_from([0.5, 10.0]),
            some=st.sampled_from([(1, ()), (1, (HALF,)), (3, ()), (3, (HALF, THIRD))]),
        )
        def admit(self, index: int, timeout_s: float, some: tuple[int, Compartments]) -> None:
            times, own = some
            for _ in range(times):
                candidate = self.house.tier[index]
                told = candidate.refusal(self.house.now)
                if told is None and candidate.crowded(own):
                    told = NO_SHARE
                answer = self.house.admit(index, timeout_s, compartments=own)
                if isinstance(answer, Permit):
                    assert told is None, "the reading refused what the actor admits"
                    self.check_permit(answer, index)
                else:
                    assert told is not None, "the reading promised what the actor refuses"
                    for why in (NO_SLOT, NO_SHARE):
                        assert (told is why) == (answer.why is why)
                    refused = candidate.refusal(self.house.now) is not None
                    assert refused or candidate.crowded(own)

        def check_permit(self, permit: Permit, index: int) -> None:
            mine = [p for p in self.house.permits.values() if p.endpoint == permit.endpoint]
            assert permit.load == len(mine)
            limit = self.house.tier[index].limit
            alike = [sum(each in p.compartments for p in mine) for each in permit.compartments]
            most = [max(1, int(each.share * limit)) for each in permit.compartments]
            assert all(map(int.__le__, alike, most)), "more than its share"
            day = int(self.house.now // DAY_S)
            left = QUOTA - self.free_used.get(day, 0)
            assert permit.free == (index == 1 and left > 0), "free calls are miscounted"
            if permit.free:
                self.free_used[day] = self.free_used.get(day, 0) + 1
                self.free_taken[permit.attempt] = day

        @precondition(lambda self: self.house.permits)
        @rule(
            data=st.data(),
            error=endings,
            hint_s=hints,
            void=st.integers(0, 9).map(lambda n: n == 0),
        )
        def settle(
            self, data: st.DataObject, error: ErrorClass | None, hint_s: float | None, void: bool
        ) -> None:
            permit = data.draw(st.sampled_from(list(self.house.permits.values())))
            self.returned.append(permit)
            before = len(self.ledger.counted)
            heard = self.who_hears(permit)
            self.house.noticed.clear()
            verdict = Verdict.VOID if void else None
            self.house.settle(permit, None if void else error, verdict, hint_s)
            day = int(self.house.now // DAY_S)
            if void and self.free_taken.get(permit.attempt) == day:
                self.free_used[day] -= 1
            if self.house.up:
                if permit.compartments:
                    names = [each.name for each in self.house.noticed]
                    assert permit.endpoint in names, "nobody hears that its share has room"
                self.ledger.read(self.house.events)
                counted = {
                    (w, v) for w, p, v in self.ledger.counted[before:] if p == permit.attempt
                }
                assert counted == self.verdicts(error, void, heard), "the wrong scope was blamed"

        def who_hears(self, permit: Permit) -> set[str]:
            """The scopes that will take this permit's verdict: those whose generation it has."""
            self.ledger.read(self.house.events)
            generation = self.ledger.generation
            heard = set()
            if permit.generation == generation.get(permit.endpoint, 0):
                heard.add(permit.endpoint)
            if self.domain and permit.domain_generation == generation.get(self.domain, 0):
                heard.add(self.domain)
            self.endpoint = permit.endpoint
            return heard

        def verdicts(
            self, error: ErrorClass | None, void: bool, heard: set[str]
        ) -> set[tuple[str, str]]:
            """What each scope should count: the narrow one's failure is no wide one's."""
            if void:
                return set()
            verdict = Verdict.OK if error is None else POLICY[error].verdict
            own, wide = verdict, Verdict.OK if error is None else Verdict.NEUTRAL
            if error is not None and POLICY[error].scope is Scope.DOMAIN and self.domain:
                own, wide = Verdict.NEUTRAL, verdict
            elif error is not None and self.answered(error):
                wide = Verdict.OK
            said = {self.endpoint: own, self.domain: wide}
            return {
                (scope, said[scope].value)
                for scope in heard
                if said[scope] in (Verdict.OK, Verdict.FAIL)
            }

        def answered(self, error: ErrorClass) -> bool:
            silent = {"connect", "reset", "silent", "cancelled", "internal", "adapter"}
            return error.value not in silent

        @precondition(lambda self: self.house.up and self.returned)
        @rule(data=st.data(), error=endings)
        def settle_twice(self, data: st.DataObject, error: ErrorClass | None) -> None:
            """A loop that gives back what it has given back changes nothing that counts."""
            permit = data.draw(st.sampled_from(self.returned))
            if permit.generation != self.ledger.generation.get(permit.endpoint, 0):
                return
            self.ledger.read(self.house.events)
            before = len(self.house.events)
            self.house.settle(permit, error)
            assert len(self.house.events) == before

        @precondition(running)
        @rule(index=index, error=endings, elapsed_s=st.sampled_from([None, 2.0]), hint_s=hints)
        def report(
            self,
            index: int,
            error: ErrorClass | None,
            elapsed_s: float | None,
            hint_s: float | None,
        ) -> None:
            verdict = Verdict.OK if error is None else POLICY[error].verdict
            name = self.house.tier[index].name
            self.house.ref.tell(Report(name, verdict, error, elapsed_s, hint_s))

        @precondition(running)
        @rule(where=anywhere, seconds=st.sampled_from([2.0, 20.0]))
        def hold(self, where: str | None, seconds: float) -> None:
            self.house.ref.tell(HoldScope(self.house.now + seconds, where, HoldKind.MANUAL))

        @precondition(running)
        @rule(where=anywhere, what=st.sampled_from([ReleaseScope, ReleaseScope, ResetScope]))
        def release_or_reset(self, where: str | None, what: type) -> None:
            self.house.ref.tell(what(where))

        @precondition(running)
        @rule(where=anywhere, state=st.sampled_from([Admin.ISOLATE, Admin.ENABLE, Admin.ENABLE]))
        def administer(self, where: str | None, state: Admin) -> None:
            self.house.ref.tell(SetAdmin(state, where))

        @precondition(running)
        @rule(error=endings)
        def check(self, error: ErrorClass | None) -> None:
            self.house.ref.tell(Checked(error is None, 0.1, error))

        @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 4.0, 16.0, 60.0, 300.0]))
        def wait(self, seconds: float) -> None:
            self.house.pass_time(seconds)

        @precondition(running)
        @rule()
        def wait_for_what_is_due(self) -> None:
            at = self.house.world.timers.next_at()
            if at < self.house.now + 1000:
                self.house.world.advance_to(at)

        @precondition(running)
        @rule()
        def crash(self) -> None:
            self.bombs += 1
            self.house.crash()

        @precondition(lambda self: not self.house.up)
        @rule()
        def come_back(self) -> None:
            self.house.come_back()

        @invariant()
        def nothing_crashed_but_by_a_bomb(self) -> None:
            house = self.house
            assert [type(error) for _, error in house.world.crashes] == [KeyError] * self.bombs
            assert not house.world.errors
            assert len(house.world.timers) <= 2 + self.bombs, "timers pile up"

        @invariant()
        def the_events_are_consistent(self) -> None:
            self.ledger.read(self.house.events)

        @invariant()
        def what_is_in_flight_is_what_is_owed(self) -> None:
            house = self.house
            if not house.up:
                return
            self.ledger.read(house.events)
            assert set(self.ledger.slots) == set(house.permits)
            for each in house.tier:
                owed = sum(p.endpoint == each.name for p in house.permits.values())
                assert each.in_flight == owed
                mine = [p for p in house.permits.values() if p.endpoint == each.name]
                names = [own.name for p in mine for own in p.compartments]
                assert each.held == {name: names.count(name) for name in names}
                assert 0 <= each.guard_tokens <= 10

        @invariant()
        def readings_say_what_the_events_say(self) -> None:
            house, ledger = self.house, self.ledger
            if not house.up:
                return
            ledger.read(house.events)
            for each in house.tier:
                scopes = [each.name, "p", *([self.domain] if self.domain else [])]
                shut = any(ledger.state.get(s) in ("open", "isolated") for s in scopes)
                probing = any(
                    ledger.state.get(s) == "half-open" and ledger.probes(s) for s in scopes
                )
                ends = [end for (where, _), end in ledger.held.items() if where in scopes]
                held = any(end > house.now for end in ends)
                if shut or probing or held:
                    assert house.now < each.shut_until, "the reading says open, the events shut"
                    ends += [ledger.until.get(s, 0.0) for s in scopes]
                    assert each.shut_until >= max(ends), "it says a time that is too early"

        def teardown(self) -> None:
            if hasattr(self, "house"):
                self.give_everything_back()

        def give_everything_back(self) -> None:
            """At the end every permit comes home, and time and hands open every gate again."""
            house = self.house
            house.come_back()
            for permit in list(house.permits.values()):
                house.settle(permit)
            house.ref.tell(SetAdmin(Admin.ENABLE))
            self.ledger.read(house.events)
            assert not self.ledger.slots
            assert not self.ledger.out
            house.pass_time(2 * DAY_S)
            for each in house.tier:
                assert each.refusal(house.now) is None, "it stays shut without traffic"
                assert each.ramp == 1.0, "it stays slow without traffic"
            assert house.tier[1].free_left == QUOTA, "a new day brings no free calls"
            for where in range(COUNT):
                house.settle(house.lend(where))

    return AnyInterleaving


def test_a_provider_keeps_its_books_whatever_happens_when() -> None:
    run_state_machine_as_test(
        provider_machine(actor),
        settings=settings(max_examples=100, stateful_step_count=40, deadline=None),
    )

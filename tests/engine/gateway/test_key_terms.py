"""What a key is for and how far it goes, over real sockets, in the words of both formats."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tests.engine.gateway.service import Service, on_loop, oracle, serving
from tests.engine.gateway.test_service import CHAT, HELLO
from tests.engine.keys.made import PRICE, Counted, entropy
from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy import Request
from understudy.config.reading import parse
from understudy.config.terms import KeyTerms
from understudy.gateway import guard as guard_module
from understudy.gateway.guard import Guard, guard_of
from understudy.gateway.problem import Refused
from understudy.keys.ring import KeyRecord, Ring
from understudy.keys.token import Hashing, issue
from understudy.secret import Secret
from understudy_actors.domain.errors import ConfigError

KEY, HASHED = issue(entropy(), Hashing())
MESSAGES = "/v1/messages"
ANTHROPIC = {"model": "auto", "max_tokens": 5, "messages": HELLO["messages"]}
PRICED = {"oracle": {"models": [{"name": "m", "price": PRICE}], "operations": ["chat"]}}


def gateway(**terms: Any) -> dict[str, Any]:
    return {"gateway": {"keys": {"ann": {"key_hash": str(HASHED), **terms}}}}


def guarded(config: dict[str, Any], wall: float = 0.0) -> Guard:
    return guard_of(parse(config).gateway, {}, lambda: wall)


def client(service: Service, key: str = KEY) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=service.url, timeout=20.0, trust_env=False, headers=headers)


@on_loop
async def test_a_key_given_by_its_hash_opens_and_is_accounted() -> None:
    own = gateway(user="ann", team="red", tags=["beta"])
    async with serving(own, oracle=oracle, guard=guarded(own)) as service:
        async with client(service) as ann:
            assert (await ann.post(CHAT, json={**HELLO, "user": "eve"})).status_code == 200
        async with client(service, KEY[:-1] + "x") as wrong:
            assert (await wrong.post(CHAT, json=HELLO)).status_code == 401
        (top,) = service.engine.top("users")
        assert top.user == "ann"


@on_loop
async def test_models_and_groups_may_have_wildcards() -> None:
    own = {
        **gateway(models=["ora*/*", "nice"]),
        "groups": {"nice": ["oracle"], "other": ["oracle"]},
    }
    async with serving(own, oracle=oracle, guard=guarded(own)) as service, client(service) as ann:
        for model, status in {
            "oracle/function": 200, "nice": 200, "other": 403, "auto": 403, "function": 403
        }.items():  # fmt: skip
            answer = await ann.post(CHAT, json={**HELLO, "model": model})
            assert answer.status_code == status, model
        assert answer.json()["error"]["code"] == "model_not_allowed"
        for spare, status in {"nice": 200, "other": 403}.items():
            own_way = {"model": "nice", "understudy": {"fallbacks": ["nice", spare]}}
            assert (await ann.post(CHAT, json={**HELLO, **own_way})).status_code == status
        said = (await ann.post(MESSAGES, json={**ANTHROPIC, "model": "other"})).json()
        assert said["error"]["type"] == "permission_error"
        listed = {each["id"] for each in (await ann.get("/v1/models")).json()["data"]}
        assert listed == {"oracle/function", "nice"}, "a key is shown what it may ask for"
        assert (await ann.get("/v1/models/other")).status_code == 404


@on_loop
async def test_whoever_asks_too_often_is_told_when_to_come_back() -> None:
    own = gateway(requests_per_minute=2)
    async with serving(own, oracle=oracle, guard=guarded(own)) as service, client(service) as ann:
        answers = await asyncio.gather(*(ann.post(CHAT, json=HELLO) for _ in range(8)))
        assert sorted(each.status_code for each in answers) == [200, 200, *[429] * 6]
        refused = next(each for each in answers if each.status_code == 429)
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert "key ann, 2 requests a minute" in refused.json()["error"]["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 63
        assert refused.headers["x-should-retry"] == "true"
        other = await ann.post(MESSAGES, json=ANTHROPIC)
        assert (other.status_code, other.json()["error"]["type"]) == (429, "rate_limit_error")
        assert "retry-after" in other.headers


@on_loop
async def test_a_request_that_never_fits_is_not_to_be_retried() -> None:
    own = gateway(tokens_per_minute=20)
    async with serving(own, oracle=oracle, guard=guarded(own)) as service, client(service) as ann:
        refused = await ann.post(CHAT, json={**HELLO, "max_tokens": 50})
        assert refused.status_code == 429
        assert refused.headers["x-should-retry"] == "false"
        assert "retry-after" not in refused.headers


@on_loop
async def test_no_more_run_at_once_than_allowed() -> None:
    running, most, go = 0, 0, asyncio.Event()

    async def slow(request: Request) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1
        return await oracle(request)

    own = gateway(parallel=3)
    async with serving(own, slow=slow, guard=guarded(own)) as service, client(service) as ann:
        asked = [asyncio.create_task(ann.post(CHAT, json=HELLO)) for _ in range(10)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 7:
            more, _ = await asyncio.wait(set(asked) - done, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert {each.result().status_code for each in done} == {429}
        assert "3 at once" in done.pop().result().json()["error"]["message"]
        go.set()
        answers = await asyncio.gather(*asked)
        assert sorted(each.status_code for each in answers) == [*[200] * 3, *[429] * 7]
        assert most == 3
        assert (await ann.post(CHAT, json=HELLO)).status_code == 200, "whoever leaves makes room"


@on_loop
async def test_a_budget_is_never_passed_and_says_when_it_starts_anew() -> None:
    own = {**gateway(budgets=["0.0001/day", "1/month"]), "providers": PRICED}
    async with serving(own, oracle=oracle, guard=guarded(own)) as service, client(service) as ann:
        body = {**HELLO, "max_tokens": 5}
        answers = await asyncio.gather(*(ann.post(CHAT, json=body) for _ in range(6)))
        assert {each.status_code for each in answers} == {200, 429}
        refused = next(each for each in answers if each.status_code == 429)
        assert refused.json()["error"]["code"] == "insufficient_quota"
        assert refused.headers["x-should-retry"] == "false"
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        (day, month) = service.engine.budgets()
        assert (day.scope, day.name, month.per) == ("key", "ann", "month")
        assert day.spent_usd + day.reserved_usd <= day.limit_usd
        other = await ann.post(MESSAGES, json={**ANTHROPIC, "max_tokens": 50})
        assert (other.status_code, other.json()["error"]["type"]) == (429, "rate_limit_error")


def test_what_the_configuration_says_of_a_key_by_name_holds_too() -> None:
    from understudy.keys.scopes import budgets_of, limits_of, rate_of, spending_of
    from understudy_actors.ledger.account import Scope

    config = parse(
        {
            **gateway(budgets=["5/day", "9/week"], parallel=4, requests_per_minute=10),
            "budgets": [{"usd": 3, "key": "ann"}, {"usd": 1}, {"usd": 2, "key": "*"}],
            "limits": [{"key": "ann", "requests_per_minute": 20, "tokens_per_minute": 7}],
        }
    )
    terms = config.gateway.keys["ann"]
    assert [(x.period.value, x.micro_usd) for x in spending_of(config, "ann", terms)] == [
        ("day", 3_000_000), ("week", 9_000_000)
    ]  # fmt: skip
    rate = rate_of(config, "ann", terms)
    assert str(rate) == "key ann, 10 requests and 7 tokens a minute and 4 at once"
    every = [str(each) for each in budgets_of(config, Ring())]
    assert every == ["engine, $1.00 a day", "key *, $2.00 a day", "key ann, $3.00 a day",
                     "key ann, $9.00 a week"]  # fmt: skip
    assert [each.scope for each in limits_of(config, Ring())] == [Scope("key", "ann")] * 2


def test_a_key_that_has_expired_is_refused_and_told_so() -> None:
    own = gateway(expires="2027-01-31T01:00+01:00")
    at = 1_801_353_600.0
    ring = KeyRecord(name="ann", hashes=(HASHED,), terms=KeyTerms(), created_at=0.0, expires_at=at)
    for wall, good in ((at - 1, True), (at, False)):
        guard = guarded(own, wall)
        guard.ring.add(ring)
        if good:
            assert guard.caller({"x-api-key": KEY}) is not None
            continue
        with pytest.raises(Refused, match="the key has expired") as caught:
            guard.caller({"x-api-key": KEY})
        assert caught.value.problem.status == 401
    terms = parse(own).gateway.keys["ann"]
    assert terms.expires_at == at


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"key_hash": "abc"}, "the hash that"),
        ({"key_hash": str(HASHED), "key": "env:X"}, "one of the two"),
        ({}, "one of the two"),
        ({"key_hash": str(HASHED), "expires": "soon"}, "gateway.keys.ann.expires"),
    ],
)
def test_a_key_is_written_in_one_way(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"gateway": {"keys": {"ann": written}}})
    assert said in str(caught.value)


WRONG = ("usk-0000000000000000-" + "0" * 64, KEY[:-1], KEY + "0", KEY[:-1] + "x", "", "sk-env")


def check_equal_work(module: ModuleType) -> None:
    """Raise unless unknown, wrong, too short, expired, revoked and right keys cost as much."""

    @settings(deadline=None, max_examples=40)
    @given(
        st.sampled_from([KEY, *WRONG, "sk-env-alice", "sk-env-bob"]) | st.text(max_size=40),
        st.sampled_from([{}, {"revoked_at": 1.0}, {"expires_at": 1.0}]),
    )
    def costs_the_same(key: str, over: Any) -> None:
        counted, names = Counted(), ("alice", "bob", "charlie")
        known = {n: (Secret(f"sk-env-{n}"), module.Caller(n)) for n in names}
        guard = module.Guard(known, Secret("sk-ops"), wall=lambda: 5.0, hashing=counted)
        guard.ring.add(
            KeyRecord(name="k", hashes=(HASHED,), terms=KeyTerms(), created_at=0.0, **over)
        )
        for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {}):
            counted.taken()
            with contextlib.suppress(Refused):
                guard.caller(headers)
            assert counted.taken() == (2, 4), "one for the environment's keys, one for the others"
        with contextlib.suppress(Refused):
            guard.admin({"x-api-key": key})
        assert counted.taken() == (1, 1)

    costs_the_same()


def check_who_comes_in(module: ModuleType) -> None:
    """Raise unless whoever has a good key comes in as its owner, and nobody else."""
    known = {n: (Secret(f"sk-{n}"), module.Caller(n, expires_at=9.0)) for n in ("a", "b")}
    now = [5.0]
    guard = module.Guard(known, wall=lambda: now[0])
    record = KeyRecord(name="k", hashes=(HASHED,), terms=KeyTerms(), created_at=0.0)
    guard.ring.put(record)
    for key, name in {"sk-a": "a", "sk-b": "b", KEY: "k"}.items():
        assert guard.caller({"x-api-key": key}).name == name
    for key in WRONG:
        assert _refusal(guard, key) is not None, key
    guard.ring.put(msgspec.structs.replace(record, revoked_at=5.0))
    assert "was revoked" in str(_refusal(guard, KEY))
    now[0] = 9.0
    assert "has expired" in str(_refusal(guard, "sk-a"))
    alone = module.Guard()
    assert alone.open
    alone.ring.put(record)
    assert _refusal(alone, "") is not None, "from the first key on everybody needs one"
    alone.ring.put(msgspec.structs.replace(record, revoked_at=1.0))
    assert _refusal(alone, "") is not None, "the last one that is revoked opens nothing"
    assert _refusal(module.Guard(required=True), "") is not None


def _refusal(guard: Any, key: str) -> Refused | None:
    try:
        guard.caller({"x-api-key": key})
    except Refused as refused:
        return refused
    return None


LAWS = (check_equal_work, check_who_comes_in)
PROFILE = planted_profile("planted in the guard", max_examples=40)
FAULTS = [
    Mutant(name, guard_module.__name__, old, new)
    for name, old, new in (
        (
            "the first that fits ends the search",
            "                found = caller\n",
            "                found = caller\n                break\n",
        ),
        (
            "known by the environment, looked up no further",
            "        record = self.ring.find(given)\n",
            "        record = None if found else self.ring.find(given)\n",
        ),
        (
            "without a key nothing is hashed",
            "        digest, found = self._hash(given), None\n",
            "        if not given:\n            raise _unknown(_REFUSED)\n"
            "        digest, found = self._hash(given), None\n",
        ),
        ("revoked keys come in", "if (why := why_not(record, hashed, wall)) is not None:", "if 0:"),
        ("keys of the environment never end", "found.expires_at is not None and", "False and"),
        ("the last one that is revoked opens", "or self.ring.records)", ")"),
        ("required, but open", "or hashed or required", "or hashed"),
        (
            "whoever is unknown is the first",
            "        if found is None:\n            raise",
            "        if 0:\n            raise",
        ),
    )
]


@pytest.mark.parametrize("law", LAWS)
def test_the_guard_keeps_the_law(law: Callable[[ModuleType], None]) -> None:
    law(guard_module)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    assert a_law_breaks(LAWS, fault.plant(), PROFILE)


def test_keys_that_are_required_are_required_even_before_there_are_any() -> None:
    assert Guard().open
    closed = guard_of(parse({"gateway": {"require_keys": True}}).gateway, {})
    assert not closed.open
    with pytest.raises(Refused):
        closed.caller({})
    assert not guarded(gateway()).open, "hashes are keys, before an engine is open too"


@on_loop
async def test_whose_bill_it_is_may_be_said_in_body_and_headers_but_the_key_knows_better() -> None:
    """`user` of OpenAI's bodies, `metadata.user_id` of Anthropic's, and our own words for both."""
    own = gateway(team="red", tags=["beta"])
    async with serving(own, oracle=oracle, guard=guarded(own)) as service, client(service) as ann:
        said = {
            "x-understudy-user": "cat",
            "x-understudy-labels": "x,y",
            "x-understudy-team": "blue",
        }
        for answer in (
            await ann.post(CHAT, json={**HELLO, "user": "ann"}),
            await ann.post(MESSAGES, json={**ANTHROPIC, "metadata": {"user_id": "bob"}}),
            await ann.post(CHAT, json={**HELLO, "user": "ann"}, headers=said),
        ):
            assert answer.status_code == 200, answer.text
        engine = service.engine
        assert sorted(str(e.user) for e in engine.top("users")) == ["ann", "bob", "cat"]
        assert [(e.name, e.attempts) for e in engine.top("teams")] == [("red", 3)]
        tags = {e.name: e.attempts for e in engine.top("tags")}
        assert tags == {"beta": 3, "x": 1, "y": 1}
        assert [(e.name, e.attempts) for e in engine.top("keys")] == [("ann", 3)]

"""The mock's answers, without sockets: shapes as real providers', and a plan for any bytes."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st

from understudy_sim import fault_kinds as kinds
from understudy_sim.mock import Behaviour, FixedUsage, MockProvider, MockSettings, Stats
from understudy_sim.mock.provider import Plan
from understudy_sim.mock.requests import ROUTES
from understudy_sim.mock.wire import Answer

EXAMPLES = Path(__file__).parent.parent / "wire_examples"
WALL_S = 1_790_000_000.5
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
SAY_HI = [{"role": "user", "content": "Hi there!"}]


class StillClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return WALL_S + self.now_s


def provider(**settings: Any) -> MockProvider:
    return MockProvider(MockSettings(provider="alpha", **settings), StillClock())


def plan(mock: MockProvider, path: str, body: object, **headers: str) -> Plan:
    known = {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
    if path == MESSAGES:
        known[b"anthropic-version"] = b"2026-10-21"
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return mock.plan(mock.call(path, ROUTES[path], known), raw)


def answer(mock: MockProvider, path: str, body: object, **headers: str) -> Answer:
    planned = plan(mock, path, body, **headers).answer
    assert planned is not None
    return planned


def chat(mock: MockProvider, **more: Any) -> Answer:
    return answer(mock, CHAT, {"model": "m", "messages": SAY_HI, **more})


def message(mock: MockProvider, **more: Any) -> Answer:
    body = {"model": "m", "messages": SAY_HI, "max_tokens": 99, **more}
    return answer(mock, MESSAGES, body)


def example(name: str) -> Any:
    return json.loads((EXAMPLES / name).read_text())


def lacks(given: object, wanted: object, path: str = "$") -> list[str]:
    """Where `given` has not the fields and types of `wanted`."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        missing = [f"{path}.{key}" for key in wanted if key not in given]
        both = [key for key in wanted if key in given]
        return missing + [x for k in both for x in lacks(given[k], wanted[k], f"{path}.{k}")]
    if isinstance(wanted, list) and isinstance(given, list):
        return lacks(given[0], wanted[0], f"{path}[0]") if given and wanted else []
    number = isinstance(given, int | float) and isinstance(wanted, int | float)
    return [] if number or type(given) is type(wanted) else [f"{path}: {given!r}"]


def frames(parts: Iterable[bytes]) -> list[Any]:
    lines = b"".join(parts).decode().split("\n")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(text) for text in data if text != "[DONE]"]


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (CHAT, {"messages": SAY_HI}, "openai.chat.response.json"),
        (MESSAGES, {"messages": SAY_HI, "max_tokens": 9}, "anthropic.messages.response.json"),
        ("/v1/embeddings", {"input": ["a"]}, "openai.embeddings.response-float.json"),
        (
            "/v1/embeddings",
            {"input": ["a"], "encoding_format": "base64"},
            "openai.embeddings.response-base64.json",
        ),
        ("/v1/images/generations", {"prompt": "a cube"}, "openai.images.response.json"),
    ],
)
def test_a_success_has_every_field_of_a_real_one(path: str, body: Any, name: str) -> None:
    given = answer(provider(), path, {"model": "m", **body})
    assert given.status == 200
    assert lacks(json.loads(given.body), example(name)) == []


def test_models_are_listed_in_the_shape_of_the_asking_client() -> None:
    mock = provider(models=("small", "large"))
    given = json.loads(answer(mock, "/v1/models", b"").body)
    assert lacks(given, example("openai.models.response.json")) == []
    assert [each["id"] for each in given["data"]] == ["small", "large"]
    given = json.loads(answer(mock, "/v1/models", b"", anthropic_version="2023-06-01").body)
    assert lacks(given, example("anthropic.models.response.json")) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [(CHAT, "openai.chat.stream.sse"), (MESSAGES, "anthropic.messages.stream.sse")],
)
def test_a_stream_has_every_frame_and_field_of_a_real_one(path: str, name: str) -> None:
    body = {"model": "m", "messages": SAY_HI, "max_tokens": 99, "stream": True}
    body["stream_options"] = {"include_usage": True}
    given = answer(provider(behaviour=Behaviour(reply="Hello there")), path, body)
    wanted = frames([(EXAMPLES / name).read_bytes()])
    ours = frames(given.frames)
    assert len(ours) == len(wanted)
    assert [lacks(a, b) for a, b in zip(ours, wanted, strict=True)] == [[]] * len(wanted)
    assert given.content_type.startswith("text/event-stream")


ERRORS: list[tuple[kinds.FailingFault, str, str]] = [
    (kinds.Auth(), CHAT, "openai.error.auth.json"),
    (kinds.Auth(), MESSAGES, "anthropic.error.auth.json"),
    (kinds.ContentPolicy(), CHAT, "openai.error.content-policy.json"),
    (kinds.ContentPolicy(), "/v1/images/generations", "openai.error.image-moderation.json"),
    (kinds.ContextLength(), CHAT, "openai.error.context-length.json"),
    (kinds.ContextLength(), MESSAGES, "anthropic.error.context-length.json"),
    (kinds.Credit(variant="quota"), CHAT, "openai.error.quota-legacy.json"),
    (kinds.Credit(variant="quota"), MESSAGES, "anthropic.error.spend-limit.json"),
    (kinds.Credit(), MESSAGES, "anthropic.error.billing.json"),
    (kinds.ModelNotFound(), CHAT, "openai.error.model-not-found.json"),
    (kinds.ModelNotFound(), MESSAGES, "anthropic.error.model-not-found.json"),
    (kinds.RateLimit(retry_after=1.5), CHAT, "openai.error.rate-limit.json"),
    (kinds.RateLimit(retry_after=10.0), MESSAGES, "anthropic.error.rate-limit.json"),
    (kinds.Status(), CHAT, "openai.error.server.json"),
    (kinds.Status(), MESSAGES, "anthropic.error.server.json"),
    (kinds.Status(statuses=(403,)), MESSAGES, "anthropic.error.permission.json"),
    (kinds.Status(statuses=(503,), retry_after=5.0), CHAT, "openai.error.overloaded.json"),
    (kinds.Status(statuses=(529,)), MESSAGES, "anthropic.error.overloaded.json"),
    (kinds.Timeout(), MESSAGES, "anthropic.error.timeout.json"),
]


@pytest.mark.parametrize(("fault", "path", "name"), ERRORS, ids=lambda value: str(value)[:40])
def test_an_error_is_told_as_the_real_provider_tells_it(
    fault: kinds.FailingFault, path: str, name: str
) -> None:
    mock, wanted = provider(), example(name)
    mock.set_schedule([{"kind": fault.kind, **own_parameters(fault)}])
    body = {"model": "nope", "messages": SAY_HI, "max_tokens": 9, "prompt": "a cube"}
    given = answer(mock, path, body)
    assert given.status == wanted["status"]
    told = json.loads(given.body)
    assert lacks(told, wanted["body"]) == []
    for field in ("type", "code"):
        assert told["error"].get(field) == wanted["body"]["error"].get(field)
    headers = {"content-type": given.content_type, **dict(given.headers)}
    assert set(wanted["headers"]) <= set(headers)
    for header in ("retry-after", "retry-after-ms"):
        assert headers.get(header) == wanted["headers"].get(header)


def own_parameters(fault: kinds.FailingFault) -> dict[str, Any]:
    names = ("variant", "statuses", "retry_after")
    return {name: getattr(fault, name) for name in names if hasattr(fault, name)}


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(
    ("mode", "told_s"),
    [("truth", 40), ("zero", 0), ("huge", 31_536_000), ("lying", 4), (7.2, 8), ("missing", None)],
)
def test_a_rate_limit_tells_its_end_as_the_schedule_wants(
    path: str, mode: Any, told_s: int | None
) -> None:
    mock = provider()
    mock.set_schedule([{"kind": "rate_limit", "for": 40, "retry_after": mode}])
    headers = dict(answer(mock, path, {"model": "m"}).headers)
    assert headers.get("retry-after") == (None if told_s is None else str(told_s))
    resets = [name for name in headers if "reset" in name]
    assert bool(resets) == (told_s is not None), "no header may betray what is to be missing"


def test_a_rate_limit_can_tell_its_end_as_a_date() -> None:
    mock = provider()
    mock.set_schedule([{"kind": "rate_limit", "for": 40, "retry_after": "date"}])
    told = parsedate_to_datetime(dict(chat(mock).headers)["retry-after"])
    assert 0 <= told.timestamp() - (WALL_S + 40) < 1


def test_malformed_answers_are_broken_each_in_its_way() -> None:
    mock = provider()

    def broken(variant: str, **more: Any) -> Answer:
        mock.set_schedule([{"kind": "malformed", "variant": variant}])
        return chat(mock, **more)

    whole = chat(provider()).body
    truncated = broken("truncated_json")
    assert whole.startswith(truncated.body)
    assert len(truncated.body) < len(whole)
    assert broken("html").content_type.startswith("text/html")
    assert broken("empty").body == b""
    assert json.loads(broken("wrong_type").body) == 42
    assert "error" in json.loads(broken("error_in_200").body)
    usage = json.loads(broken("absurd_usage").body)["usage"]
    assert usage["prompt_tokens"] < 0 < 10**9 < usage["completion_tokens"]
    assert "error" in frames([broken("error_in_200", stream=True).payload])[0]
    variants = get_args(kinds.MalformedVariant)
    assert {broken(variant).status for variant in variants} == {200}


def test_usage_is_derived_fixed_or_missing() -> None:
    text = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 99}
    mock = provider(behaviour=Behaviour(reply="y" * 40))
    usage = json.loads(answer(mock, CHAT, text).body)["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (100, 10)
    mock.set_behaviour(Behaviour(usage=FixedUsage(input_tokens=3, output_tokens=4)))
    assert json.loads(answer(mock, CHAT, text).body)["usage"]["total_tokens"] == 7
    assert json.loads(answer(mock, MESSAGES, text).body)["usage"]["output_tokens"] == 4
    mock.set_behaviour({"usage": "missing"})
    for path in (CHAT, MESSAGES):
        assert "usage" not in json.loads(answer(mock, path, text).body)
    assert b"usage" not in message(mock, stream=True).payload


def test_a_reply_is_filled_in_and_cut_at_the_limit() -> None:
    mock = provider(behaviour=Behaviour(reply="{n} from {provider} by {model}, {0} {x.y}"))
    told = json.loads(chat(mock).body)["choices"][0]
    assert told["message"]["content"] == "1 from alpha by m, {0} {x.y}"
    told = json.loads(chat(mock, max_completion_tokens=2).body)["choices"][0]
    assert (told["message"]["content"], told["finish_reason"]) == ("2 from a", "length")
    assert json.loads(message(mock, max_tokens=1).body)["stop_reason"] == "max_tokens"


def test_a_key_and_a_list_of_models_are_checked() -> None:
    mock = provider(key="right", models=("m",))
    body = {"model": "m", "messages": SAY_HI, "max_tokens": 9}
    assert answer(mock, CHAT, body, authorization="Bearer right").status == 200
    assert answer(mock, MESSAGES, body, x_api_key="right").status == 200
    assert answer(mock, CHAT, body, authorization="Bearer wrong").status == 401
    refused = answer(mock, MESSAGES, body)
    assert json.loads(refused.body)["error"]["type"] == "authentication_error"
    other = answer(mock, CHAT, {**body, "model": "n"}, authorization="Bearer right")
    assert other.status == 404
    assert "right" not in repr(mock.settings)


def test_embeddings_are_the_same_for_the_same_text_and_in_both_encodings() -> None:
    body: dict[str, Any] = {"model": "m", "input": ["a", "b", "a"], "dimensions": 5}
    plain = json.loads(answer(provider(), "/v1/embeddings", body).body)["data"]
    vectors = [each["embedding"] for each in plain]
    assert vectors[0] == vectors[2] != vectors[1]
    body["encoding_format"] = "base64"
    packed = json.loads(answer(provider(), "/v1/embeddings", body).body)["data"]
    unpacked = [list(struct.unpack("<5f", base64.b64decode(e["embedding"]))) for e in packed]
    assert unpacked == vectors


def test_latency_is_fixed_or_spread_around_its_median_and_slowed_by_layers() -> None:
    def waits(mock: MockProvider, n: int) -> list[float]:
        return [plan(mock, CHAT, {"model": "m", "messages": SAY_HI}).wait_s for _ in range(n)]

    fixed = Behaviour(latency_s=0.2, reply="x" * 40, tokens_per_s=100)
    assert waits(provider(behaviour=fixed), 2) == pytest.approx([0.3, 0.3])
    spread = Behaviour(latency_s=0.2, latency_sigma=0.5)
    drawn = sorted(waits(provider(behaviour=spread), 501))
    assert drawn[250] == pytest.approx(0.2, rel=0.15)
    assert drawn[0] < 0.1 < 0.4 < drawn[-1]
    mock = provider(behaviour=Behaviour(latency_s=0.2))
    mock.set_schedule([{"kind": "slow", "multiplier": 3}, {"kind": "slow", "add": "1s"}])
    assert waits(mock, 1) == pytest.approx([1.6])
    assert mock.stats.faults == {"slow": 2}
    mock.set_failures({"timeout_probability": 1, "timeout_duration_seconds": 2})
    assert waits(mock, 1) == [3.0]


def test_a_seed_repeats_the_faults_from_each_activation_on() -> None:
    schedule = {"faults": [{"kind": "status", "share": 0.4, "statuses": [500, 502]}]}

    def statuses(mock: MockProvider) -> list[int]:
        mock.set_schedule(schedule)
        return [chat(mock).status for _ in range(40)]

    mock = provider(seed=3)
    first = statuses(mock)
    assert first == statuses(mock) == statuses(provider(seed=3))
    assert first != statuses(provider(seed=4))

    def failing(mock: MockProvider) -> list[int]:
        mock.set_failures({"server_error_probability": 0.4, "rate_limit_probability": 0.3})
        return [chat(mock).status for _ in range(40)]

    mock = provider(seed=3)
    chat(mock)
    first = failing(mock)
    assert first == failing(mock) == failing(provider(seed=3))
    assert first != failing(provider(seed=4))


@given(st.lists(st.sampled_from(["arrive", "end", "reset"]), max_size=30))
def test_counters_balance_after_any_sequence(steps: list[str]) -> None:
    stats, most = Stats(), 0
    for step in steps:
        if step == "arrive":
            stats.arrived("/x")
        elif step == "end" and stats.in_flight:
            stats.ended("ok")
        elif step == "reset":
            stats.reset()
            most = 0
        most = max(most, stats.in_flight)
        assert stats.requests == sum(stats.outcomes.values()) + stats.in_flight
        assert stats.max_in_flight == most


def test_unknown_paths_cannot_fill_the_memory() -> None:
    stats = Stats()
    for number in range(1000):
        stats.arrived(f"/{number}")
    assert len(stats.paths) <= 51
    assert sum(stats.paths.values()) == stats.requests == 1000


bodies = st.binary(max_size=40) | st.builds(
    lambda document: json.dumps(document).encode(),
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.text(max_size=3) | st.integers(),
            "messages": st.lists(
                st.fixed_dictionaries(
                    {"role": st.just("user")},
                    optional={
                        "content": st.none()
                        | st.text(max_size=9)
                        | st.lists(st.dictionaries(st.just("text"), st.text() | st.integers()))
                    },
                )
                | st.text(),
                max_size=2,
            ),
            "max_tokens": st.integers(-1, 2**70),
            "stream": st.booleans(),
            "input": st.text() | st.lists(st.text() | st.integers(0) | st.lists(st.integers(0))),
            "dimensions": st.integers(0, 50),
            "prompt": st.text(max_size=5),
            "n": st.integers(0, 3),
        },
    ),
)


@given(
    path=st.sampled_from(sorted(ROUTES)),
    body=bodies,
    kind=st.sampled_from(["", *kinds.KINDS]),
    reply=st.text(max_size=20),
)
def test_any_bytes_get_a_plan(path: str, body: bytes, kind: str, reply: str) -> None:
    mock = provider(behaviour=Behaviour(reply=reply))
    mock.set_schedule([{"kind": kind}] if kind else [])
    made = plan(mock, path, body)
    if made.answer is not None and made.answer.status >= 400:
        assert "error" in json.loads(made.answer.body)
    assert made.outcome in {"ok", "client_error", *kinds.KINDS}


def test_deep_nesting_is_a_bad_request() -> None:
    mock = provider()
    assert answer(mock, CHAT, b'{"messages":' + b"[" * 100_000).status == 400
    assert (
        answer(mock, CHAT, b'{"messages":[{"role":"u","content":[{"a":' + b"[" * 9999).status == 400
    )

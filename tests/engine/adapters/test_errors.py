"""Every error that a provider is known to send gets the class that says what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.adapters.wire import (
    ANTHROPIC,
    CHAT,
    COMPATIBLE,
    EXAMPLES,
    KEY,
    OPENAI,
    WALL_S,
    WireAdapterUnderTest,
    adapter_for,
    answer,
    error_response,
    target,
)
from understudy.adapters.failure import transport_failure
from understudy.secret import Secret
from understudy.transport.http import HttpResponse, TransportFailed
from understudy_actors.domain.errors import ERROR_TYPES, ConnectionFailed, ProviderError
from understudy_actors.domain.outcome import ErrorClass

E = ErrorClass

# example: (class, delay hint in seconds, code)
EXPECTED: dict[str, tuple[ErrorClass, float | None, str | None]] = {
    "openai.error.auth": (E.AUTH, None, "invalid_api_key"),
    "openai.error.bad-request": (E.BAD_REQUEST, None, "decimal_below_min_value"),
    "openai.error.content-policy": (E.CONTENT_POLICY, None, "content_policy_violation"),
    "openai.error.context-length": (E.CONTEXT_LENGTH, None, "context_length_exceeded"),
    "openai.error.image-moderation": (E.CONTENT_POLICY, None, "moderation_blocked"),
    "openai.error.model-not-found": (E.MODEL_NOT_FOUND, None, "model_not_found"),
    "openai.error.overloaded": (E.OVERLOADED, 5.0, "server_is_overloaded"),
    "openai.error.permission": (E.PERMISSION, None, "unsupported_country_region_territory"),
    "openai.error.quota-legacy": (E.QUOTA, None, "insufficient_quota"),
    "openai.error.quota": (E.QUOTA, None, "credit_balance_exhausted"),
    "openai.error.rate-limit": (E.RATE_LIMIT, 1.5, "rate_limit_exceeded"),
    "openai.error.responses-model-not-found": (E.MODEL_NOT_FOUND, None, "model_not_found"),
    "openai.error.server": (E.SERVER, None, "server_error"),
    "openai.error.slow-down": (E.RATE_LIMIT, 10.0, "slow_down"),
    "anthropic.error.auth": (E.AUTH, None, "authentication_error"),
    "anthropic.error.billing": (E.QUOTA, None, "billing_error"),
    "anthropic.error.context-length": (E.CONTEXT_LENGTH, None, "invalid_request_error"),
    "anthropic.error.credit-low": (E.QUOTA, None, "invalid_request_error"),
    "anthropic.error.model-not-found": (E.MODEL_NOT_FOUND, None, "not_found_error"),
    "anthropic.error.overloaded": (E.OVERLOADED, None, "overloaded_error"),
    "anthropic.error.permission": (E.PERMISSION, None, "permission_error"),
    "anthropic.error.rate-limit": (E.RATE_LIMIT, 10.0, "rate_limit_error"),
    "anthropic.error.sampling-param-2026-10-21": (E.BAD_REQUEST, None, "invalid_request_error"),
    "anthropic.error.server": (E.SERVER, None, "api_error"),
    "anthropic.error.spend-limit": (E.QUOTA, None, "enforced_spend_limit_reached"),
    "anthropic.error.timeout": (E.TIMEOUT, None, "timeout_error"),
    "anthropic.error.too-large": (E.BAD_REQUEST, None, "request_too_large"),
    "openrouter.error.credits": (E.QUOTA, None, "payment_required"),
    "openrouter.error.in-200-body": (E.SERVER, None, "502"),
    "openrouter.error.moderation": (E.CONTENT_POLICY, None, "content_policy_violation"),
    "openrouter.error.rate-limit": (E.RATE_LIMIT, 0.0, "rate_limit_exceeded"),
    "llamacpp.error.auth": (E.AUTH, None, "401"),
    "llamacpp.error.context-length": (E.CONTEXT_LENGTH, None, "400"),
    "llamacpp.error.loading": (E.OVERLOADED, None, "503"),
    "vllm.error.context-length": (E.CONTEXT_LENGTH, None, "400"),
    "vllm.error.model-not-found": (E.MODEL_NOT_FOUND, None, "404"),
    "groq.error.flex-capacity": (E.OVERLOADED, None, "capacity_exceeded"),
    "groq.error.model-not-found": (E.MODEL_NOT_FOUND, None, "model_not_found"),
    "groq.error.rate-limit": (E.RATE_LIMIT, 2.0, "rate_limit_exceeded"),
    "groq.error.tool-use-failed": (E.MALFORMED, None, "tool_use_failed"),
    "xai.error.bad-key": (E.AUTH, None, None),
    "xai.error.model-not-found": (E.MODEL_NOT_FOUND, None, None),
    "xai.error.permission-credits": (E.QUOTA, None, None),
    "xai.error.rate-limit": (E.RATE_LIMIT, None, None),
    "deepseek.error.auth": (E.AUTH, None, "invalid_request_error"),
    "deepseek.error.balance": (E.QUOTA, None, "invalid_request_error"),
    "together.error.auth": (E.AUTH, None, "invalid_api_key"),
    "together.error.context-length": (E.CONTEXT_LENGTH, None, "invalid_request_error"),
    "together.error.overloaded": (E.OVERLOADED, None, "service_unavailable"),
    "mistral.error.auth": (E.AUTH, None, None),
    "mistral.error.capacity": (E.OVERLOADED, None, "3505"),
    "mistral.error.model": (E.MODEL_NOT_FOUND, None, "1500"),
    "mistral.error.rate-limit": (E.RATE_LIMIT, None, "1300"),
    "mistral.error.validation": (E.BAD_REQUEST, None, "invalid_request_error"),
    "azure.error.content-filter": (E.CONTENT_POLICY, None, "responsibleaipolicyviolation"),
    "azure.error.deployment": (E.MODEL_NOT_FOUND, None, "deploymentnotfound"),
    "cloudflare.error.auth": (E.AUTH, None, "10000"),
    "cloudflare.error.capacity": (E.OVERLOADED, None, "3040"),
    "cloudflare.error.neurons": (E.QUOTA, None, "3036"),
    "cloudflare.error.no-model": (E.MODEL_NOT_FOUND, None, "5007"),
    "huggingface.error.auth": (E.AUTH, None, None),
    "huggingface.error.credits": (E.QUOTA, None, None),
    "huggingface.error.model": (E.MODEL_NOT_FOUND, None, "model_not_found"),
    "huggingface.error.tgi-validation": (E.CONTEXT_LENGTH, None, "validation"),
    "gemini.error.bad-key": (E.AUTH, None, "api_key_invalid"),
    "gemini.error.context-length": (E.CONTEXT_LENGTH, None, "400"),
    "gemini.error.free-tier-region": (E.PERMISSION, None, "400"),
    "gemini.error.model-not-found": (E.MODEL_NOT_FOUND, None, "404"),
    "gemini.error.overloaded": (E.OVERLOADED, None, "503"),
    "gemini.error.permission": (E.PERMISSION, None, "403"),
    "gemini.error.quota": (E.QUOTA, None, "402"),
    "gemini.error.rate-limit": (E.RATE_LIMIT, 14.0, "429"),
    "gemini.error.server": (E.SERVER, None, "500"),
    "gemini.error.timeout": (E.TIMEOUT, None, "504"),
    "cohere.error.auth": (E.AUTH, None, None),
    "cohere.error.context-length": (E.CONTEXT_LENGTH, None, None),
    "cohere.error.model-not-found": (E.MODEL_NOT_FOUND, None, None),
    "cohere.error.quota": (E.QUOTA, None, None),
    "cohere.error.rate-limit": (E.RATE_LIMIT, None, None),
    "cohere.error.unprocessable": (E.BAD_REQUEST, None, None),
    "bedrock.error.model-not-found": (E.MODEL_NOT_FOUND, None, "validationexception"),
    "bedrock.error.throttle": (E.RATE_LIMIT, None, "throttlingexception"),
    "ollama.error.model-not-found": (E.MODEL_NOT_FOUND, None, None),
    "bfl.error.auth": (E.AUTH, None, None),
    "bfl.error.credits": (E.QUOTA, None, None),
    "bfl.error.rate-limit": (E.RATE_LIMIT, None, None),
    "bfl.error.validation": (E.BAD_REQUEST, None, "missing"),
    "fal.error.auth": (E.AUTH, None, None),
    "fal.error.content-policy": (E.CONTENT_POLICY, None, "content_policy_violation"),
    "fal.error.locked": (E.QUOTA, None, None),
    "fal.error.timeout": (E.TIMEOUT, None, "request_timeout"),
    "fal.error.validation": (E.BAD_REQUEST, None, "value_error.missing"),
    "replicate.error.auth": (E.AUTH, None, "401"),
    "replicate.error.credits": (E.QUOTA, None, "402"),
    "replicate.error.not-found": (E.MODEL_NOT_FOUND, None, "404"),
    "replicate.error.rate-limit": (E.RATE_LIMIT, 30.0, None),
    "replicate.error.validation": (E.BAD_REQUEST, None, "422"),
    "stability.error.auth": (E.AUTH, None, "unauthorized"),
    "stability.error.bad-request": (E.BAD_REQUEST, None, "bad_request"),
    "stability.error.credits": (E.QUOTA, None, "payment_required"),
    "stability.error.moderation": (E.CONTENT_POLICY, None, "content_moderation"),
    "stability.error.rate-limit": (E.RATE_LIMIT, None, "rate_limit_exceeded"),
    "stability.error.server": (E.SERVER, None, "internal_error"),
    "stability.error.too-large": (E.BAD_REQUEST, None, "payload_too_large"),
    "stability.error.unprocessable": (E.BAD_REQUEST, None, "invalid_language"),
    "pollinations.error.auth": (E.AUTH, None, "unauthorized"),
    "ollama.openai-error.model-not-found": (E.MODEL_NOT_FOUND, None, "not_found_error"),
}


def raised(adapter: str, response: HttpResponse, **fields: Any) -> ProviderError:
    """The error that an adapter makes of a response."""
    with pytest.raises(ProviderError) as caught:
        adapter_for(adapter).parse(CHAT, target(**fields), response, WALL_S)
    return caught.value


def status_class(status: int, body: object = None, **headers: str) -> ErrorClass:
    """The class of an OpenAI response with a status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raised("openai.", answer(body, status, named)).kind


def test_every_example_of_an_error_is_expected_here() -> None:
    present = {path.stem for path in EXAMPLES.glob("*.json") if "error." in path.name}
    assert present == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_error_gets_its_class_its_delay_and_its_code(name: str) -> None:
    error = raised(name, error_response(name))
    assert (error.kind, error.retry_after_s, error.code) == EXPECTED[name]
    assert type(error) is ERROR_TYPES[error.kind]
    assert error.status == error_response(name).status


@pytest.mark.parametrize("name", EXPECTED)
def test_the_message_is_our_own_and_the_providers_words_are_the_detail(name: str) -> None:
    error = raised(name, error_response(name))
    assert str(error).startswith("openai/gpt-5.4-mini ")
    assert f"[{error.kind}, HTTP {error.status}" in str(error)
    if error.detail is not None:
        assert error.detail not in str(error)
        assert len(error.detail) <= 200
        assert KEY not in error.detail


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, E.BAD_REQUEST),
        (401, E.AUTH),
        (402, E.QUOTA),
        (403, E.PERMISSION),
        (404, E.MODEL_NOT_FOUND),
        (408, E.TIMEOUT),
        (409, E.CONFLICT),
        (410, E.MODEL_NOT_FOUND),
        (413, E.BAD_REQUEST),
        (415, E.BAD_REQUEST),
        (418, E.BAD_REQUEST),
        (422, E.BAD_REQUEST),
        (425, E.CONFLICT),
        (429, E.RATE_LIMIT),
        (500, E.SERVER),
        (502, E.SERVER),
        (503, E.SERVER),
        (504, E.TIMEOUT),
        (520, E.SERVER),
        (524, E.TIMEOUT),
        (529, E.OVERLOADED),
        (302, E.MALFORMED),
        (199, E.MALFORMED),
        (999, E.MALFORMED),
    ],
)
@pytest.mark.parametrize("adapter", ["openai.", "anthropic.", "compatible."])
def test_a_status_alone_has_a_meaning_too(adapter: str, status: int, expected: ErrorClass) -> None:
    page = HttpResponse(status, {"content-type": "text/html"}, b"<html>what?</html>")
    assert raised(adapter, page).kind is expected


def test_a_503_is_overload_only_if_it_says_so() -> None:
    assert status_class(503) is E.SERVER
    assert status_class(503, retry_after="0") is E.OVERLOADED
    assert status_class(503, retry_after="soon") is E.SERVER
    assert status_class(503, {"error": {"code": "slow_down"}}) is E.OVERLOADED
    assert status_class(429, {"error": {"code": "slow_down"}}) is E.RATE_LIMIT


def test_a_code_outranks_a_type_and_a_type_outranks_a_status() -> None:
    billed = {"error": {"code": "rate_limit_exceeded", "type": "insufficient_quota"}}
    assert status_class(429, billed) is E.RATE_LIMIT
    assert status_class(429, {"error": {"code": None, "type": "insufficient_quota"}}) is E.QUOTA
    assert status_class(400, {"error": {"code": "context_length_exceeded"}}) is E.CONTEXT_LENGTH


def test_that_the_server_failed_says_less_than_a_status_that_says_how() -> None:
    assert status_class(504, {"error": {"type": "server_error"}}) is E.TIMEOUT
    assert status_class(529, {"error": {"type": "server_error"}}) is E.OVERLOADED
    assert status_class(500, {"error": {"type": "server_error"}}) is E.SERVER
    assert status_class(200, {"error": {"type": "server_error"}}) is E.SERVER


def test_a_long_string_is_a_long_context_only_where_the_prompt_is() -> None:
    def about(param: str | None) -> ErrorClass:
        message = "Invalid value: string too long. Expected a shorter one."
        return status_class(400, {"error": {"message": message, "param": param}})

    assert about("user") is E.BAD_REQUEST
    assert about(None) is E.BAD_REQUEST
    assert about("messages[0].content") is E.CONTEXT_LENGTH
    assert about("input") is E.CONTEXT_LENGTH


def test_a_filter_that_anthropic_reports_as_a_wrong_request_is_a_refusal_of_the_content() -> None:
    said = "Output blocked by content filtering policy"
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    assert raised("anthropic.", answer(body, 400)).kind is E.CONTENT_POLICY


def test_words_about_tokens_in_a_429_are_no_long_context() -> None:
    body = {"error": {"message": "Too many tokens: the maximum context length is far away"}}
    assert status_class(429, body) is E.RATE_LIMIT


@pytest.mark.parametrize("key", ["insufficient_quota", "429", 429])
def test_the_user_may_overrule_a_rule(key: object) -> None:
    options = {"errors": {key: "rate_limit"}}
    error = raised("openai.", error_response("openai.error.quota-legacy"), options=options)
    assert error.kind is E.RATE_LIMIT


@pytest.mark.parametrize("rules", [{"429": "nonsense"}, {"500": "auth"}, {}, "text", None, {1: 2}])
def test_a_rule_of_the_users_that_says_nothing_changes_nothing(rules: object) -> None:
    error = raised("openai.", error_response("openai.error.rate-limit"), options={"errors": rules})
    assert error.kind is E.RATE_LIMIT


@pytest.mark.parametrize("adapter", [OPENAI, COMPATIBLE, ANTHROPIC], ids=lambda a: a.name)
def test_a_check_fails_by_the_same_rules(adapter: WireAdapterUnderTest) -> None:
    assert adapter.check_failure(target(), answer({"data": []}), WALL_S) is None
    failed = adapter.check_failure(target(), answer({}, 401), WALL_S)
    assert failed is not None
    assert failed.kind is E.AUTH


def test_an_error_of_another_shape_is_read_too() -> None:
    bodies: list[object] = [
        {"error": "Incorrect API key provided", "code": "a sentence is no code"},
        {"message": "Incorrect API key provided"},
        {"detail": "Incorrect API key provided"},
        {"detail": [{"msg": "Incorrect API key provided"}, "?"]},
        "Incorrect API key provided",
    ]
    assert {status_class(400, body) for body in bodies} == {E.AUTH}


def test_the_detail_is_one_short_line_without_keys() -> None:
    secret = "f00-Own-Key"
    keys = f"{secret}, {secret.upper()}, sk-proj-abcdef, AIzaSyAbcdef, Bearer x.y"
    said = f"no\n\tgood: {keys} {'z y ' * 100}"
    body = {"error": {"message": said, "code": secret}}
    error = raised("openai.", answer(body, 400), key=Secret(secret))
    assert error.detail is not None
    assert error.detail.startswith("no good: ***, ***, ***, ***, *** ")
    assert len(error.detail) <= 200
    assert error.code is None
    assert secret not in repr(error) + str(error)


def test_a_broken_connection_says_whether_the_request_went_out() -> None:
    refused = transport_failure(TransportFailed("refused", sent=False), target())
    broken = transport_failure(TransportFailed("hung up", sent=True), target())
    assert (refused.kind, broken.kind) == (E.CONNECT, E.RESET)
    assert type(refused) is type(broken) is ConnectionFailed
    assert str(broken) == (
        "openai/gpt-5.4-mini broke the connection before a whole answer arrived (hung up) [reset]"
    )

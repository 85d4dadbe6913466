"""The tests of this folder have teeth: faults planted in the rules and readers are noticed.

Each fault stands with the response (or header) that shows it: the real module and the faulty one
must say different things about it, and the real one what the other tests demand.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.engine.adapters.wire import CHAT, OPENAI, WALL_S, answer, example, target
from tests.support.mutants import Mutant
from understudy.adapters import (
    anthropic_replies,
    body,
    classify,
    delay,
    failure,
    multipart,
    openai_replies,
    openai_requests,
    openai_rules,
)
from understudy.adapters.openai_rules import OPENAI_RULES
from understudy.secret import Secret
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.request import ImageFile, ImageInput

CLASSIFY, DELAY = "understudy.adapters.classify", "understudy.adapters.delay"
FAILURE, REPLIES = "understudy.adapters.failure", "understudy.adapters.openai_replies"
MULTIPART, ASKS = "understudy.adapters.multipart", "understudy.adapters.openai_requests"
READERS = (anthropic_replies, body, classify, delay, failure, openai_replies, openai_rules)
REAL = {module.__name__: module for module in (*READERS, multipart, openai_requests)}
PICTURE = ImageFile(b"picture")
EDIT = ImageInput("x", images=(PICTURE, PICTURE), mask=PICTURE)


def refused(function: Callable[..., Any], *args: Any) -> bool:
    """Is that not done?"""
    try:
        function(*args)
    except body.Unusable:
        return True
    return False


def classified(status: int | None, error: dict[str, Any], *, hinted: bool = False) -> Any:
    """What a `classify` module makes of an error body."""

    def judge(module: ModuleType) -> object:
        complaint = module.read_complaint({"error": error})
        return module.classify(OPENAI_RULES, status, complaint, hinted=hinted)

    return judge


def waits(status: int = 429, **headers: str) -> Any:
    """What a `delay` module makes of headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda module: module.delay_s(status, named, WALL_S)


def failed(status: int, error: dict[str, Any]) -> Any:
    """What a `failure` module shows of a response."""

    def judge(module: ModuleType) -> object:
        to = target(key=Secret("0ur-0wn-key"))
        found = module.response_failure(OPENAI_RULES, to, answer({"error": error}, status), WALL_S)
        return str(found.kind), found.code, found.detail, str(found)

    return judge


def chat(message: dict[str, Any], **choice: Any) -> Any:
    """What a module of replies makes of a chat completion."""
    document = example("openai.chat.response")
    document["choices"][0] |= choice
    document["choices"][0]["message"] |= message

    def judge(module: ModuleType) -> object:
        try:
            return module.chat_output(document)
        except body.Unusable as problem:
            return problem.error_class

    return judge


def usage(module_function: str, **numbers: Any) -> Any:
    """What a module of replies makes of usage numbers."""
    return lambda module: getattr(module, module_function)({"usage": numbers})


FAULTS: list[tuple[Mutant, Callable[[ModuleType], object]]] = [
    (
        Mutant("codes after statuses", CLASSIFY, "for code in complaint.codes:", "for code in ():"),
        classified(429, {"code": "credit_balance_exhausted"}),
    ),
    (
        Mutant("every 503 is overload", CLASSIFY, "status == 503 and hinted", "status == 503"),
        classified(503, {}),
    ),
    (
        Mutant("no 503 is overload", CLASSIFY, "status == 503 and hinted", "False"),
        classified(503, {}, hinted=True),
    ),
    (
        Mutant(
            "phrases under any status",
            CLASSIFY,
            "status is not None and status not in phrase.statuses",
            "False",
        ),
        classified(429, {"message": "maximum context length is 7"}),
    ),
    (
        Mutant(
            "phrases about any parameter",
            CLASSIFY,
            "phrase.params and not complaint.param.startswith(phrase.params)",
            "False",
        ),
        classified(400, {"message": "string too long", "param": "user"}),
    ),
    (
        Mutant(
            "an odd 4xx is the server's", CLASSIFY, "400 <= status < 500", "400 <= status < 418"
        ),
        classified(422, {}),
    ),
    (
        Mutant("milliseconds are seconds", DELAY, "asked / 1000.0", "asked"),
        waits(retry_after_ms="1500"),
    ),
    (
        Mutant("no upper bound", DELAY, "min(max(seconds, 0.0), DELAY_MAX_S)", "max(seconds, 0.0)"),
        waits(retry_after="1e7"),
    ),
    (
        Mutant("no lower bound", DELAY, "min(max(seconds, 0.0), DELAY_MAX_S)", "seconds"),
        waits(retry_after="-1"),
    ),
    (
        Mutant(
            "resets of limits with room",
            DELAY,
            "if _number(headers.get(remaining)) == 0\n        and (reset",
            "if (reset",
        ),
        waits(x_ratelimit_remaining_tokens="9", x_ratelimit_reset_tokens="9s"),
    ),
    (
        Mutant("the shortest reset", DELAY, "max(resets", "min(resets"),
        waits(
            x_ratelimit_remaining="0",
            x_ratelimit_reset="1s",
            x_ratelimit_remaining_tokens="0",
            x_ratelimit_reset_tokens="9s",
        ),
    ),
    (
        Mutant("hints on any status", DELAY, "status not in statuses", "False"),
        waits(400, retry_after="3"),
    ),
    (
        Mutant("the own key is shown", FAILURE, "if target.key:", "if False:"),
        failed(400, {"message": "bad 0ur-0wn-key"}),
    ),
    (
        Mutant("a key as code", FAILURE, "and mask(name, target) == name", ""),
        failed(400, {"code": "0ur-0wn-key"}),
    ),
    (
        Mutant(
            "a 200 is judged by its status",
            FAILURE,
            "status = complaint.status",
            "status = response.status",
        ),
        failed(200, {"code": 502}),
    ),
    (
        Mutant("an empty answer", REPLIES, 'finish == "stop" and not text', "False and not text"),
        chat({"content": ""}),
    ),
    (
        Mutant(
            "calls that are not there",
            REPLIES,
            'and not calls:\n        raise Unusable("it',
            'and False:\n        raise Unusable("it',
        ),
        chat({}, finish_reason="tool_calls"),
    ),
    (
        Mutant(
            "a refusal is an answer",
            REPLIES,
            'refusal := message.get("refusal")',
            "refusal := None",
        ),
        chat({"refusal": "no"}),
    ),
    (
        Mutant("reasoning beside is lost", REPLIES, "output += beside", "output += 0"),
        usage("chat_usage", prompt_tokens=1, completion_tokens=2, total_tokens=9),
    ),
    (
        Mutant(
            "cached tokens are left out",
            "understudy.adapters.anthropic_replies",
            "count(fresh + written + read)",
            "count(fresh)",
        ),
        usage("message_usage", input_tokens=1, output_tokens=2, cache_read_input_tokens=9),
    ),
    (
        Mutant(
            "a negative number is a count",
            "understudy.adapters.body",
            "and 0 <= value <= COUNT_MAX",
            "and value <= COUNT_MAX",
        ),
        lambda module: module.count(-1),
    ),
    (
        Mutant(
            "a boundary that may occur", MULTIPART, "digest.update(head.encode() + value)", "pass"
        ),
        lambda module: module.form({}, [("image", PICTURE)])[0],
    ),
    (
        Mutant(
            "a media type with more headers",
            MULTIPART,
            "file.media_type.isascii() and file.media_type.isprintable()",
            "True",
        ),
        lambda module: refused(module.form, {}, [("image", ImageFile(b"x", "a\r\nb: c"))]),
    ),
    (
        Mutant("a mask is left out", ASKS, "return files if asked.mask is None", "return files #"),
        lambda module: module.image_files(EDIT),
    ),
    (
        Mutant(
            "many pictures under the name of one", ASKS, "len(asked.images) == 1", "asked.images"
        ),
        lambda module: module.image_files(EDIT),
    ),
]


@pytest.mark.parametrize(("fault", "judge"), FAULTS, ids=[str(fault) for fault, _ in FAULTS])
def test_a_planted_fault_shows(fault: Mutant, judge: Callable[[ModuleType], object]) -> None:
    assert judge(REAL[fault.module]) != judge(fault.plant())


def test_the_adapter_uses_the_modules_that_faults_are_planted_in() -> None:
    with pytest.raises(ProviderError, match="quota, HTTP 429"):
        OPENAI.parse(CHAT, target(), answer({"error": {"code": "insufficient_quota"}}, 429), WALL_S)

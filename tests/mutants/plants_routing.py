"""Faults on the way of a request: dispatch, retries, the loop, the runtime, the adapters."""

from __future__ import annotations

from typing import Final

from tests.mutants.harness import planted_in as _in

_DISPATCHER: Final = "understudy_actors.dispatcher.actor"
_RANKING: Final = "understudy_actors.dispatcher.ranking"
_RETRY: Final = "understudy_actors.dispatcher.retry"
_QUEUE: Final = "understudy_actors.dispatcher.queue"
_ORDER: Final = "understudy_actors.dispatcher.order"
_SHARES: Final = "understudy_actors.dispatcher.strategies.shares"
_SUPERVISOR: Final = "understudy_actors.runtime.supervisor"
_CELL: Final = "understudy_actors.runtime.cell"
_SYSTEM: Final = "understudy_actors.runtime.system"
_MAILBOX: Final = "understudy_actors.runtime.mailbox"
_LOOP: Final = "understudy.routing.loop"
_ENDINGS: Final = "understudy.routing.endings"
_DESK: Final = "understudy.routing.desk"
_OPENAI: Final = "understudy.adapters.openai"
_CLASSIFY: Final = "understudy.adapters.classify"
_FAILURE: Final = "understudy.adapters.failure"
_DELAY: Final = "understudy.adapters.delay"


DISPATCH: Final = (
    *_in(
        _DISPATCHER,
        (
            "one attempt too many",
            "if len(flight.attempts) >= flight.max_attempts:",
            "if len(flight.attempts) > flight.max_attempts:",
        ),
        (
            "retries need no budget",
            "if not self._budget.withdraw(now):",
            "if self._budget.withdraw(now) is None:",
        ),
        (
            "a provider's own retry rule is ignored",
            "message.candidate.spec.provider, settings.default_retry",
            '"", settings.default_retry',
        ),
        ("it never fails over", "if elsewhere and flight.fallback:", "if False:"),
        (
            "refused content goes elsewhere",
            "elsewhere = policy.elsewhere or (",
            "elsewhere = True or (",
        ),
        ("newcomers jump the queue", "if not self._queue.idle:", "if False:"),
    ),
    *_in(
        _RANKING,
        ("who refused is asked again", "if each in tried:", "if False:"),
        (
            "the failover guard is ignored",
            "if tried and guard is not None and each.guard_tokens <= guard.floor:",
            "if False:",
        ),
        (
            "the last gate is told, not the first",
            "if until < (math.inf if decision.retry_at is None else decision.retry_at):",
            "if until > (0.0 if decision.retry_at is None else decision.retry_at):",
        ),
        (
            "a shut door is remembered too long",
            "            reason = each.refusal(view.now)\n",
            '            reason = each.shut_why or "open"\n',
        ),
    ),
    *_in(
        _RETRY,
        (
            "retries run past the deadline",
            "return now + wait_s + failure.min_useful_s <= deadline",
            "return True",
        ),
        (
            "retries per target are not counted",
            "if retries_here >= rule.attempts:",
            "if False:",
        ),
        ("a retry does not wait for the hint", "        failure.retry_after_s or 0.0,\n", ""),
    ),
    *_in(
        _QUEUE,
        (
            "one slot wakes everybody",
            "                del free[candidate.seat]",
            "                pass",
        ),
    ),
    *_in(
        _ORDER,
        ("the last in line goes first", "now - self.above_since >= rule.window_s", "True"),
        ("low priorities come first", "sorted(self._bands, reverse=True)", "sorted(self._bands)"),
        ("waiting never lifts", "while lifts and lifts[0][0] <= now:", "while False:"),
        (
            "what a tenant got is not counted",
            "                        band.charge(line, waiter.tokens)",
            "                        pass",
        ),
    ),
    *_in(
        _SHARES,
        ("weights are ignored", "return candidate.spec.weight", "return 1.0 + 0 * candidate.index"),
        (
            "a turn costs half of its price",
            "        credit[order[0].index] -= total\n",
            "        credit[order[0].index] -= total / 2\n",
        ),
    ),
)

LOOP: Final = (
    *_in(
        _LOOP,
        (
            "a retry does not pause",
            "await trio.sleep_until(now + step.wait_s)",
            "await trio.lowlevel.checkpoint()",
        ),
        (
            "an attempt outlives its deadline",
            "if limit_s > left_s:\n        limit_s = left_s",
            "if limit_s > left_s:\n        limit_s = limit_s",
        ),
        ("the first one eats the whole time", "SHARE_LEFT: Final = 0.5", "SHARE_LEFT: Final = 1.0"),
        (
            "decided by a stale error",
            "    flight.last_error = error\n",
            "    flight.last_error = error = flight.last_error or error\n",
        ),
        (
            "whoever leaves the queue is not told of",
            "        if flight.ticket:\n            wiring.dispatcher.tell(Left(flight))\n\n\n",
            "        pass\n\n\n",
        ),
    ),
    *_in(
        _ENDINGS,
        (
            "callers are not told of a stated delay",
            "if retry_at is None and error.retry_after_s is not None:",
            "if False:",
        ),
    ),
    *_in(
        _DESK,
        (
            "a cancelled request has no outcome",
            "        if self._trace.on:\n            self._trace.emit(\n                RequestOut",
            '        if self._trace.on and status != "cancelled":\n            self._trace.emit(\n'
            "                RequestOut",
        ),
        (
            "deadlines are forgotten",
            "now + timeout_s,",
            "now + config.deadline_s,",
        ),
    ),
)

RUNTIME: Final = (
    *_in(
        _SUPERVISOR,
        (
            "restarts do not back off",
            "self._take_down(child, State.SUSPENDED, now_s + wait_s)",
            "self._take_down(child, State.SUSPENDED, now_s)",
        ),
        ("restarts are not counted", "if child.intensity.allows(now_s):", "if True:"),
        (
            "a crashed actor stays down",
            "if restart_at is not None:\n            come_due",
            "if False:\n            come_due",
        ),
    ),
    *_in(
        _CELL,
        (
            "asks never expire",
            "timer = self.system.timers.at(deadline_s,",
            "timer = self.system.timers.at(deadline_s + 3600.0,",
        ),
    ),
    *_in(
        _SYSTEM,
        (
            "actors stop in order of starting",
            "self._members.popitem()",
            "(first := next(iter(self._members)), self._members.pop(first))",
        ),
    ),
    *_in(
        _MAILBOX,
        ("the last message goes first", "return self._work.popleft()", "return self._work.pop()"),
    ),
)

ADAPTERS: Final = (
    *_in(
        _OPENAI,
        (
            "an error in a 200 is a success",
            'return bool(document.get("error")) or document.get("object") == "error"',
            "return False",
        ),
        (
            "a cut answer is an empty one",
            'raise Unusable("the body is empty" if not response.body.strip() else "it is no JSON")',
            'document = {"choices": [{"message": {"content": "?"}, "finish_reason": "stop"}]}',
        ),
    ),
    *_in(
        _CLASSIFY,
        ("a 401 is a server error", "401: ErrorClass.AUTH,", "401: ErrorClass.SERVER,"),
    ),
    *_in(
        _DELAY,
        (
            "dates in Retry-After are not read",
            "if value is None or len(value) > _LENGTH_MAX:\n        return None\n    from",
            "if True:\n        return None\n    from",
        ),
    ),
    *_in(
        _FAILURE,
        (
            "errors show the key",
            "    own = [value.strip() for value in target.headers.values()]\n",
            "    return text\n    own = [value.strip() for value in target.headers.values()]\n",
        ),
        (
            "a reset counts as never sent",
            "kind = ErrorClass.RESET if failed.sent else ErrorClass.CONNECT",
            "kind = ErrorClass.CONNECT",
        ),
    ),
)

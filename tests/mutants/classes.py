"""What kind of bug each planted fault stands for: kinds that public routers have had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    "a result from before a transition counts after it": (
        "stale verdicts count",
        "the generation is not raised",
    ),
    "half-open lets a herd through": (
        "one probe too many",
        "half-open lets everyone through",
        "the probe of a hold is not alone",
    ),
    "half-open never ends": ("a hung probe keeps its slot", "it never closes"),
    "what proves nothing closes or opens": (
        "an ignorable probe closes",
        "one probe is enough to close",
        "neutral counts as failure",
        "cancelling blames the provider",
        "an impatient caller blames the provider",
    ),
    "a full provider is taken for a broken one": (
        "busy counts as failure",
        "a full provider fails its probe",
        "every refusal cuts the limit",
        "the limit never grows back",
    ),
    "traffic or another end moves a timer": (
        "traffic refreshes the cooldown",
        "a second end cancels the timer",
        "a probe goes early",
        "a hold ends late",
    ),
    "the back-off is lost": (
        "a failed probe loses the back-off",
        "closing forgets the back-off",
        "the ladder never climbs",
    ),
    "all come back at once": ("cooldowns have no jitter", "a recovered one is flooded"),
    "failures are counted so that they never trip it": (
        "a run of failures ages",
        "a window never trips it",
        "who steps in is never blamed",
        "those who leave early prove nothing together",
    ),
    "a shorter wait replaces a longer one": (
        "a later hold keeps the earlier end",
        "a short hold cuts a long one",
    ),
    "the breaker is not on the request path": (
        "the breaker is not on the request path",
        "holds are not asked on the way in",
        "a shut door is remembered too long",
    ),
    "one model or key is taken for all, or all for one": (
        "an account's hold is one model's",
        "an unknown model holds the account",
        "the domain's fault is the model's",
        "a refused key blames the breaker",
        "a 401 is a server error",
    ),
    "stated delays are lost": (
        "a cooldown ignores Retry-After",
        "a stated end is ignored",
        "a retry does not wait for the hint",
        "dates in Retry-After are not read",
        "callers are not told of a stated delay",
        "the last gate is told, not the first",
    ),
    "some failures never move a request on": (
        "it never fails over",
        "a busy provider is not failed over",
        "a failure is a latency sample",
    ),
    "a request that nobody may answer is passed around": (
        "refused content goes elsewhere",
        "who refused is asked again",
        "the failover guard is ignored",
    ),
    "retries multiply, or come too fast": (
        "one attempt too many",
        "retries need no budget",
        "a provider's own retry rule is ignored",
        "retries per target are not counted",
        "a retry does not pause",
        "decided by a stale error",
    ),
    "time runs out unnoticed": (
        "retries run past the deadline",
        "an attempt outlives its deadline",
        "the first one eats the whole time",
        "deadlines are forgotten",
        "asks never expire",
    ),
    "counts of what is in flight leak or lie": (
        "a failure keeps its slot",
        "one slot more than allowed",
        "a restart forgets who is in flight",
        "a caller that leaves keeps the permit",
    ),
    "the queue is unfair, or forgets": (
        "nobody is woken for a free slot",
        "newcomers jump the queue",
        "one slot wakes everybody",
        "the last in line goes first",
        "low priorities come first",
        "waiting never lifts",
        "what a tenant got is not counted",
        "whoever leaves the queue is not told of",
    ),
    "shares are not what was configured": (
        "weights are ignored",
        "a turn costs half of its price",
    ),
    "what was set aside never comes home": (
        "what was not spent stays set aside",
        "what a call may use stays held",
        "a minute lasts for ten",
    ),
    "a request ends twice, or never": ("a cancelled request has no outcome",),
    "a crash costs more than it must": (
        "a restart closes the breaker",
        "a restart lifts the holds",
        "restarts do not back off",
        "restarts are not counted",
        "a crashed actor stays down",
        "actors stop in order of starting",
        "the last message goes first",
    ),
    "broken answers pass, and whole ones are misread": (
        "an error in a 200 is a success",
        "a cut answer is an empty one",
        "a reset counts as never sent",
    ),
    "secrets are shown": ("errors show the key",),
    "what was told of is gone after a kill, or there twice": (
        "told before it is written",
        "a batch that failed is given up",
        "what is lent is not covered",
        "what may have been spent is forgotten",
        "a restart charges twice",
        "what is ahead of need is never given back",
        "charges are not noted",
    ),
    "whoever starts anew asks who is broken": (
        "breakers are taken over closed",
        "breakers are not kept",
    ),
}
"""Each with the faults that stand for it."""
KIND: Final[Mapping[str, str]] = {name: kind for kind, names in CLASSES.items() for name in names}
"""The same the other way round."""

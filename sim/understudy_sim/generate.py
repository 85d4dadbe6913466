"""From a seed to a scenario document: which features there are at all is drawn first.

Features crowd each other out: a run in which every second request is refused never fills a queue.
So each family of faults, of clients and of settings is there in half of the documents, and which
ones is decided independently. Documents stay small (tens to a few hundred requests), since many
small ones find more than a few large ones, and shrink faster.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from understudy_actors.runtime.ports import Randomness
from understudy_sim.dice import Dice
from understudy_sim.generate_engine import engine_for
from understudy_sim.generate_faults import faults_for
from understudy_sim.generate_store import misfortunes_for, store_for
from understudy_sim.scenario import Scenario, parse

QUANTA: Final = (0.0, 2.0**-10, 2.0**-7, 2.0**-5)
STEADY: Final = ("poisson", "steady", "users")
POLICIES: Final = ("fifo", "shuffle", "pct")
NAMES: Final = ("alpha", "beta", "gamma", "delta")
REGIONS: Final = ("eu", "us")
MODELS: Final = ("large", "small")
SAYS: Final = ("nothing", "truth", "truth", "negative", "zero", "absurd", "none_left", "one")
MIDNIGHTS: Final = (
    "2026-03-09T04:00:00+00:00",  # New York, after a day of 23 hours
    "2026-11-02T05:00:00+00:00",  # New York, after a day of 25 hours
    "2026-04-05T13:30:00+00:00",  # Lord Howe, after a day of 24.5 hours
    "2026-06-01T00:00:00+00:00",  # UTC: a day, a week and a month end
)
RECOVERY_S: Final = 480.0
"""Added after the faults where recovery is to be seen: it is judged five minutes after the last."""


@attrs.frozen
class Plan:
    """What the parts of a document have to agree on.

    Attributes:
        calm_s: Nothing goes wrong before.
        faults_end_s: No fault begins later, and most are over by then.
        horizon_s: No request begins later.
        requests: How many there should be, roughly.
        recovers: Whether the world can be seen to get well: then the load stays the same.
    """

    calm_s: float
    faults_end_s: float
    horizon_s: float
    requests: int
    recovers: bool


def generate(seed: int) -> Scenario:
    """The document of a seed. Laws: a function of the seed alone; it is valid, and its run ends.

    Raises:
        OverflowError: `seed` is negative, or does not fit into 64 bits.
    """
    dice = Dice(Randomness(seed))
    plan = _plan(dice.under("plan"))
    fleet = _fleet(dice.under("fleet"), plan)
    faults = faults_for(dice.under("faults"), fleet, plan.calm_s, plan.faults_end_s)
    engine = engine_for(dice.under("engine"), fleet)
    if store := store_for(dice.under("store"), engine):
        engine |= store
        misfortunes = misfortunes_for(dice.under("misfortunes"), plan.calm_s, plan.faults_end_s)
        faults += misfortunes
    for each in fleet:
        if any("_per_minute" in key for key in _keys(engine["providers"][each["name"]])):
            each["counts"] = True
    document = {
        "name": f"seed-{seed}",
        "seed": seed % 2**63,
        "horizon": plan.horizon_s,
        "clients": _clients(dice.under("clients"), fleet, plan),
        "fleet": fleet,
        "faults": faults,
        "schedule": _schedule(dice.under("schedule")),
        "engine": engine,
    }
    if dice.chance("midnight", 0.3) and ("budgets" in engine or _gives(engine)):
        document |= _midnight(dice.under("clock"))
    return parse(document)


def _gives(engine: dict[str, Any]) -> bool:
    return any("free_quota" in each for each in engine["providers"].values())


def _keys(entry: dict[str, Any]) -> list[str]:
    """The keys of a provider's entry, and of its models'."""
    return [*entry, *(key for model in entry.get("models", ()) for key in model)]


def _midnight(dice: Dice) -> dict[str, Any]:
    """The last seconds of a day, at the end of which a zone's windows end."""
    end = datetime.fromisoformat(dice.pick("end", MIDNIGHTS))
    return {"starts_at": (end - timedelta(seconds=dice.pick("before", (1, 10, 60)))).isoformat()}


def _plan(dice: Dice) -> Plan:
    faults_end_s = float(dice.pick("length", (4, 10, 20, 40, 80, 200)))
    recovers = dice.chance("recovers", 0.25)
    return Plan(
        calm_s=faults_end_s * dice.pick("calm", (0.0, 0.1, 0.3)),
        faults_end_s=faults_end_s,
        horizon_s=faults_end_s + (RECOVERY_S if recovers else dice.pick("after", (0, 10, 60))),
        requests=dice.whole("requests", 20, 240),
        recovers=recovers,
    )


def _schedule(dice: Dice) -> dict[str, Any]:
    return {
        "policy": dice.pick("policy", POLICIES),
        "quantum": dice.pick("quantum", QUANTA),
        "replies_first": dice.chance("replies first"),
    }


def _fleet(dice: Dice, plan: Plan) -> list[dict[str, Any]]:
    names = NAMES[: dice.whole("providers", 1, len(NAMES))]
    if len(names) == 1 and dice.chance("not alone", 0.75):
        names = NAMES[:2]
    regions, models = dice.chance("regions"), dice.chance("models")
    load_matters, limits = dice.chance("capacity"), dice.chance("limits")
    fleet = []
    for name in names:
        own = dice.under(name)
        provider: dict[str, Any] = {
            "name": name,
            "wire": own.pick("wire", ("openai", "openai", "anthropic")),
            "latency": _time(own.under("latency"), 0.05, 1.5),
            "tokens_per_s": own.pick("pace", (None, 50.0, 200.0)),
            "refusal": own.pick("refusal", (0.0, 0.05, 0.5)),
            "price": {"input": own.whole("in", 0, 5), "output": own.whole("out", 0, 20)},
            "keeps_working": own.chance("keeps working"),
        }
        if own.chance("voice", 0.4):
            provider["voice"] = "model"
        if own.chance("goes on", 0.3):
            provider["prefill"] = own.pick("prefill", ("continue", "continue", "refuse"))
        if regions:
            provider["region"] = own.pick("region", REGIONS)
        if models:
            provider["models"] = own.some("models", MODELS)
        if load_matters and own.chance("capacity"):
            provider["capacity"] = own.whole("servers", 1, 6)
            provider["queue"] = own.pick("queue", (0, 2, 20))
        if limits and own.chance("limits"):
            provider["limits"] = _limits(own.under("limits"))
        if not plan.recovers and own.chance("credit", 0.1):
            provider["credit_usd"] = own.between("usd", 0.01, 0.2)
        fleet.append({key: value for key, value in provider.items() if value is not None})
    return fleet


def _limits(dice: Dice) -> dict[str, Any]:
    kinds = dice.some("kinds", ("concurrency", "requests", "tokens"))
    limits: dict[str, Any] = {
        "retry_after": dice.pick("told", ("truth", "date", "missing", "zero", "lying", 2)),
        "burst": dice.pick("burst", (1, 10, 60)),
        "says": dice.pick("says", SAYS),
    }
    if "concurrency" in kinds:
        limits["concurrency"] = dice.whole("at once", 1, 6)
    if "requests" in kinds:
        limits["requests_per_min"] = dice.between("requests", 6, 240)
    if "tokens" in kinds:
        limits["tokens_per_min"] = dice.between("tokens", 2000, 60_000)
    return limits


def _clients(dice: Dice, fleet: list[dict[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    kinds = dice.some("kinds", STEADY if plan.recovers else (*STEADY, "ramp", "burst", "diurnal"))
    kinds = sorted(kinds, key=lambda kind: dice.uniform(f"order/{kind}"))[:3]
    share = max(4, plan.requests // len(kinds))
    models = sorted({model for each in fleet for model in each.get("models", ["large"])})
    return [_client(dice.under(kind), kind, models, plan, share) for kind in kinds]


def _client(dice: Dice, kind: str, models: list[str], plan: Plan, requests: int) -> dict[str, Any]:
    client: dict[str, Any] = {
        "name": kind,
        "arrivals": _arrivals(dice, kind, requests, plan.horizon_s),
        "prompt_tokens": dice.pick("prompt", (1, 50, {"kind": "lognormal", "median": 200})),
        "output_tokens": dice.pick("output", (1, 50, {"kind": "lognormal", "median": 100})),
    }
    if not plan.recovers:
        client["requests_max"] = requests * 2
    if dice.chance("deadline", 0.75):
        client["deadline"] = dice.pick("seconds", (0.5, 2, 5, 10, 30, 60))
    if dice.chance("cancels", 0.3):
        client["cancels"] = {
            "share": dice.pick("leaving", (0.05, 0.3)),
            "after": _time(dice.under("leaves"), 0.05, 10.0),
        }
    if dice.chance("repeats", 0.3):
        client["repeats"] = {
            "times": dice.whole("times", 1, 3),
            "wait": dice.pick("wait", (0.1, 1, 5)),
        }
    if dice.chance("model", 0.4):
        client["model"] = dice.pick("asked", models)
    if dice.chance("max tokens", 0.3):
        client["max_tokens"] = dice.pick("tokens", (10, 100, 1000))
    if dice.chance("max cost", 0.1):
        client["max_cost_usd"] = dice.between("usd", 1e-3, 1e-1)
    if dice.chance("tenant", 0.3):
        client |= {"tenant": "acme", "users": dice.whole("users", 1, 5)}
    if dice.chance("accounted", 0.2):
        words = dice.some("labels", ("batch", "night"))
        client |= {"team": dice.pick("team", ("red", "blue")), "key": "k1", "labels": words}
    if dice.chance("priority", 0.3):
        client["priority"] = dice.whole("step", -2, 2)
    if dice.chance("collapses", 0.1):
        client["collapse"] = True
        client["prompt_tokens"] = {"kind": "fixed", "value": 100}
    if dice.chance("asks again", 0.2):
        client["questions"] = dice.whole("questions", 2, 20)
        client["prompt_tokens"] = {"kind": "fixed", "value": dice.pick("long", (10, 100))}
    if dice.chance("wishes", 0.1):
        client["cache"] = dice.pick("wish", ("use", "bypass", "refresh", "only"))
    if dice.chance("operation", 0.15):
        client["operation"] = dice.pick("other", ("embedding", "image"))
    elif dice.chance("streams", 0.3):
        client["stream"] = True
    return client


def _arrivals(dice: Dice, kind: str, requests: int, length_s: float) -> dict[str, Any]:
    rate = max(0.01, float(f"{requests / length_s:.3g}"))
    match kind:
        case "ramp":
            low, high = dice.pick("slope", ((0.1, 1.9), (1.9, 0.1)))
            return {"kind": kind, "from_rate": rate * low, "to_rate": rate * high}
        case "burst":
            size = max(2, requests // dice.whole("bursts", 1, 5))
            every_s = float(f"{length_s * size / requests:.3g}")
            within_s = dice.pick("within", (0, 0.1, 2))
            return {"kind": kind, "size": size, "within": within_s, "every": every_s}
        case "diurnal":
            return {"kind": kind, "rate": rate, "period": max(1.0, length_s / 3)}
        case "users":
            count = dice.whole("users", 1, 8)
            think_s = max(0.1, float(f"{count * length_s / requests:.3g}"))
            return {"kind": kind, "count": count, "think": {"kind": "fixed", "value": think_s}}
        case _:
            return {"kind": kind, "rate": rate}


def _time(dice: Dice, low_s: float, high_s: float) -> dict[str, Any]:
    middle_s = dice.between("seconds", low_s, high_s)
    if dice.chance("fixed", 0.3):
        return {"kind": "fixed", "value": middle_s}
    return {"kind": "lognormal", "median": middle_s, "sigma": dice.pick("sigma", (0.2, 0.5, 1.0))}

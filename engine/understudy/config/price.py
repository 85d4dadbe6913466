"""What a provider's models cost, and which of its calls cost nothing."""

from __future__ import annotations

from typing import ClassVar, Literal

from understudy.config.faults import BadKey
from understudy.config.section import Section
from understudy.config.values import Amount, Count, Text
from understudy.zones import IanaZone, UnknownZone
from understudy_actors.domain.candidate import FreeQuota
from understudy_actors.domain.price import Price, Tier


class TierConfig(Section, frozen=True, kw_only=True):
    """What longer prompts cost, and the answers to them, in USD.

    Attributes:
        above: For requests whose prompt has more tokens than this.
        input: For 1,000,000 input tokens.
        output: For 1,000,000 output tokens.
        cached: For 1,000,000 input tokens that the provider had cached; left out, as `input`.
        reasoning: For 1,000,000 output tokens that were thoughts; left out, as `output`.
        cache_write: For 1,000,000 input tokens that its cache took up; left out, as `input`.
        image_input: For 1,000,000 input tokens that stand for pictures; left out, as `input`.
    """

    title: ClassVar[str] = "a price tier"
    should: ClassVar[str] = "a table such as {above = 200000, input = 4.0, output = 15.0}"

    above: Count
    input: Amount
    output: Amount
    cached: Amount | None = None
    reasoning: Amount | None = None
    cache_write: Amount | None = None
    image_input: Amount | None = None

    def tier(self) -> Tier:
        """The same as it is computed with."""
        return Tier(
            self.above,
            self.input,
            self.output,
            self.cached,
            self.reasoning,
            self.cache_write,
            self.image_input,
        )


class PriceConfig(Section, frozen=True, kw_only=True):
    """What a model costs, in USD; what is left out costs nothing.

    Attributes:
        input: For 1,000,000 input tokens.
        output: For 1,000,000 output tokens.
        cached: For 1,000,000 input tokens that the provider had cached; left out, as `input`.
        reasoning: For 1,000,000 output tokens that were thoughts; left out, as `output`.
        cache_write: For 1,000,000 input tokens that its cache took up; left out, as `input`.
        image_input: For 1,000,000 input tokens that stand for pictures; left out, as `input`.
        image: For each picture that it draws.
        request: For each call, beside the tokens.
        tiers: Other prices for longer prompts, the longest last.
    """

    title: ClassVar[str] = "a price"

    input: Amount | None = None
    output: Amount | None = None
    cached: Amount | None = None
    reasoning: Amount | None = None
    cache_write: Amount | None = None
    image_input: Amount | None = None
    image: Amount | None = None
    request: Amount | None = None
    tiers: tuple[TierConfig, ...] = ()

    def check(self) -> None:
        """An empty price would look like a free one; tiers that overlap, like none."""
        if self.input is self.output is self.request is self.image is None:
            raise BadKey(
                "is empty: give `input` and `output`, `image`, or `request`; 0 for what is free"
            )
        for place, (lower, upper) in enumerate(zip(self.tiers, self.tiers[1:], strict=False)):
            if upper.above <= lower.above:
                why = f"is {upper.above}: it must be more than the tier's before it, {lower.above}"
                raise BadKey(why, "above").under(place + 1).under("tiers")

    def price(self) -> Price:
        """The same as it is computed with."""
        return Price(
            self.input or 0.0,
            self.output or 0.0,
            self.cached,
            self.request or 0.0,
            self.reasoning,
            self.cache_write,
            self.image_input,
            self.image or 0.0,
            tuple(each.tier() for each in self.tiers),
        )


class QuotaConfig(Section, frozen=True, kw_only=True):
    """Calls that cost nothing.

    Attributes:
        requests: How many in each period.
        per: The period.
        time_zone: Whose days and months those are (an IANA name): where the provider's begin.
    """

    title: ClassVar[str] = "a free quota"
    should: ClassVar[str] = 'a table such as {requests = 100, per = "day"}'

    requests: Count
    per: Literal["day", "month"] = "day"
    time_zone: Text = "UTC"

    def check(self) -> None:
        """There is such a zone."""
        try:
            IanaZone(self.time_zone)
        except UnknownZone as error:
            raise BadKey(f"is wrong: {error}", "time_zone") from None

    def quota(self) -> FreeQuota:
        """The same as its meter takes it."""
        zone = None if self.time_zone == "UTC" else IanaZone(self.time_zone)
        return FreeQuota(self.requests, self.per, zone)

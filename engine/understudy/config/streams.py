"""What a configuration says about streams: silence within them, and second copies of them."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from understudy.config.faults import BadKey
from understudy.config.section import Section
from understudy.config.sections import Switchable
from understudy.config.values import Amount, Count, CountOrZero, Seconds, Share
from understudy_actors.domain.candidate import FirstTokenRule, StreamRule


class StreamHedgeConfig(Switchable, frozen=True, kw_only=True):
    """A second copy of a stream, to another provider, while the first has not begun.

    How many copies there may be, `share`, `burst` and `concurrent` of the section `hedge` say.

    Attributes:
        enabled: Whether streams that do not say are hedged.
        quantile: The copy waits for this quantile of the first-token times that were observed,
        factor: times this.
        samples: With fewer of them it waits for the floor.
        floor: The shortest wait.
        ceiling: The longest wait.
    """

    title: ClassVar[str] = "a stream's hedge"

    quantile: Share = 0.99
    factor: Amount = 1.5
    samples: Count = 20
    floor_s: Seconds = field(default=8.0, name="floor")
    ceiling_s: Seconds = field(default=45.0, name="ceiling")

    def check(self) -> None:
        """floor ≤ ceiling."""
        if self.floor_s > self.ceiling_s:
            limit = f"`ceiling`, {self.ceiling_s:g} s"
            raise BadKey(f"is {self.floor_s:g} s: it must not exceed {limit}", "floor")

    def rule(self) -> FirstTokenRule:
        """The same for an endpoint."""
        return FirstTokenRule(
            enabled=self.enabled,
            quantile=self.quantile,
            factor=self.factor,
            samples=self.samples,
            floor_s=self.floor_s,
            ceiling_s=self.ceiling_s,
        )


class StreamConfig(Section, frozen=True, kw_only=True):
    """Silence within streams: its limits are learned for each model, within these bounds.

    Attributes:
        first_token_min: No stream is given up sooner that has not begun.
        first_token_max: The limit before anything is learned, and the longest one.
        gap_min: The same between two tokens.
        gap_max: The same between two tokens; anything that is sent breaks that silence.
        splice_max: Characters; a broken answer that is longer is not compared with a second one to
            go on with it.
        hedge: A second copy of a stream that has not begun; `false` switches it off.
    """

    title: ClassVar[str] = "stream"

    first_token_min_s: Seconds = field(default=10.0, name="first_token_min")
    first_token_max_s: Seconds = field(default=60.0, name="first_token_max")
    gap_min_s: Seconds = field(default=10.0, name="gap_min")
    gap_max_s: Seconds = field(default=30.0, name="gap_max")
    splice_max: CountOrZero = 32_768
    hedge: StreamHedgeConfig = StreamHedgeConfig()

    def check(self) -> None:
        """Each lower bound is one."""
        for name in ("first_token", "gap"):
            least, most = (getattr(self, f"{name}_{bound}_s") for bound in ("min", "max"))
            if least > most:
                limit = f"`{name}_max`, {most:g} s"
                raise BadKey(f"is {least:g} s: it must not exceed {limit}", f"{name}_min")

    def rule(self) -> StreamRule:
        """The same for an endpoint."""
        return StreamRule(
            first_token_min_s=self.first_token_min_s,
            first_token_max_s=self.first_token_max_s,
            gap_min_s=self.gap_min_s,
            gap_max_s=self.gap_max_s,
            splice_max_chars=self.splice_max,
            hedge=self.hedge.rule(),
        )

"""What a mock provider counts. Control requests and /health are not counted as requests."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_PATHS_MAX: Final = 50


class Stats(Struct, kw_only=True):
    """Counters since the start or the last reset.

    `requests` is at all times the sum of `outcomes` plus `in_flight`: after a reset it starts at
    what is in flight.

    Attributes:
        outcomes: How requests ended: `ok`, a kind of fault, `client_error` or `disconnected` (the
            client left first).
        faults: How often each kind was applied; `slow` layers are counted here only.
        billed_input, billed_output: Tokens that a provider would bill for: of every answer that it
            made, whether or not it arrived.
        bytes_in: Bytes read from all connections, control included; likewise `bytes_out`.
    """

    requests: int = 0
    paths: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    statuses: dict[str, int] = {}
    faults: dict[str, int] = {}
    in_flight: int = 0
    max_in_flight: int = 0
    connections: int = 0
    open_connections: int = 0
    refused_connections: int = 0
    billed_input: int = 0
    billed_output: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def arrived(self, path: str) -> None:
        """A request was read as far as its head."""
        if path not in self.paths and len(self.paths) >= _PATHS_MAX:
            path = "(other)"
        self.requests += 1
        _count(self.paths, path)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def ended(self, outcome: str) -> None:
        """A request that arrived is over."""
        self.in_flight -= 1
        _count(self.outcomes, outcome)

    def fault(self, kind: str, times: int = 1) -> None:
        """A fault was applied."""
        if times:
            _count(self.faults, kind, times)

    def status(self, status: int) -> None:
        """A status line was sent in answer to a request."""
        _count(self.statuses, str(status))

    def bill(self, input_tokens: int, output_tokens: int) -> None:
        """An answer was made."""
        self.billed_input += input_tokens
        self.billed_output += output_tokens

    def reset(self) -> None:
        """Start again; what is in flight or open stays counted."""
        flying = self.in_flight
        fresh = Stats(
            requests=flying,
            in_flight=flying,
            max_in_flight=flying,
            open_connections=self.open_connections,
        )
        for name in self.__struct_fields__:
            setattr(self, name, getattr(fresh, name))


def _count(counts: dict[str, int], name: str, times: int = 1) -> None:
    counts[name] = counts.get(name, 0) + times

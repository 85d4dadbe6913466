"""Plant a fault: load a module's source with one piece of it replaced, beside the real one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class Mutant:
    """One planted fault: in `module`, the text `old` becomes `new`."""

    name: str
    module: str
    old: str
    new: str

    def plant(self) -> ModuleType:
        """Load the faulty module under a name of its own; the real one stays untouched.

        Raises:
            LookupError: `old` does not occur exactly once, so the fault is no longer this fault.
        """
        spec = importlib.util.find_spec(self.module)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).read_text()
        if (count := source.count(self.old)) != 1:
            raise LookupError(f"{self.name}: {self.old!r} occurs {count} times in {self.module}")
        name = f"{self.module}__{self.name.replace(' ', '_').replace('-', '_')}"
        module = ModuleType(name)
        module.__file__ = spec.origin
        sys.modules[name] = module  # dataclass machinery looks a class's module up by name
        exec(compile(source.replace(self.old, self.new), spec.origin, "exec"), module.__dict__)
        return module

    def caught_by(
        self, laws: Iterable[Callable[[ModuleType], object]], *errors: type[BaseException]
    ) -> bool:
        """Whether a law breaks on the faulty module: an assertion, or one of `errors`."""
        breaks: tuple[type[BaseException], ...] = (AssertionError, *errors)
        module = self.plant()
        for law in laws:
            try:
                law(module)
            except breaks:
                return True
        return False

    def __str__(self) -> str:
        return self.name

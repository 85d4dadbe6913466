"""Faults planted in our own HTTP, one for each way in which clients are fooled or leak."""

from __future__ import annotations

from typing import Final

from tests.support.mutants import Mutant

_PACKAGE: Final = "understudy.transport.wire"
ORDER: Final = tuple(
    f"{_PACKAGE}.{each}"
    for each in ("answer", "line", "lines", "address", "connect", "head", "exchange", "transport")
)
"""In the order of their imports: a fault in one is seen by those behind it."""


def _in(module: str, *faults: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, f"{_PACKAGE}.{module}", old, new) for name, old, new in faults]


READING: Final = _in(
    "answer",
    ("any protocol will do", "if not _MAGIC.startswith(self._first[: len(_MAGIC)]):", "if False:"),
    ("any version will do", "if version not in _VERSIONS:", "if False:"),
    ("any coding is chunked", 'coding.lower() != "chunked" or', ""),
    ("chunks are older than they are", ' or version != "1.1"', ""),
    ("an interim answer is the answer", "if status < 200:", "if status < 100:"),
    (
        "headers of the interim stay",
        "            self.headers = {}\n            if",
        "            if",
    ),
    ("the head may go on for ever", "if self._barren > BARREN_BYTES_MAX", "if False"),
    ("a piece is no progress", "        self._barren = 0\n", ""),
    ("a cut is an end", "self.headed and self._ends_with_connection()", "self.headed"),
    ("a cut chunk is an end", ' and "transfer-encoding" not in self.headers', ""),
    ("no end is an end", "elif self.headed and self._ends_with_connection():", "elif False:"),
    (
        "a second answer is forgiven",
        "        if self.done:\n            self._surplus = True\n\n    def on_header",
        "        pass\n\n    def on_header",
    ),
    ("what follows is taken", "        if self.headed:\n            return\n", ""),
    (
        "a HEAD has a body",
        'if self._method == "HEAD" or status in _BODILESS:',
        "if status in _BODILESS:",
    ),
    (
        "the parser of a HEAD goes on",
        'if self._method == "HEAD":\n            self._parser',
        "if False:\n            self._parser",
    ),
    ("a refusal is whole", "        self.done = False  # the", "        pass  # the"),
    ("every connection lasts", "parser.should_keep_alive()", "True"),
    ("the last header wins", 'text if key not in headers else f"{headers[key]}, {text}"', "text"),
)

KEEPING: Final = _in(
    "lines",
    ("a place given is lost", "            self.free += 1\n", "            pass\n"),
    (
        "a place is given twice",
        "            self._waiting.unpark()\n",
        "            self._waiting.unpark()\n            self.free += 1\n",
    ),
    ("nobody is woken", "        if self._waiting:\n", "        if False:\n"),
    ("places have no end", "        if not self.free:\n            return False\n", ""),
    ("everybody is woken", "self._waiting.unpark()", "self._waiting.unpark_all()"),
    ("the first used first", "line = self.idle.pop()\n", "line = self.idle.popleft()\n"),
    ("stale ones are used", "if not line.stale():", "if True:"),
    (
        "stale ones stay open",
        "                return line\n            line.close()\n",
        "                return line\n",
    ),
    (
        "idle ones are busy",
        "        self.busy.discard(line)\n        line.idle_at",
        "        line.idle_at",
    ),
    (
        "dropped ones stay open",
        "        self.busy.discard(line)\n        line.close()\n",
        "        self.busy.discard(line)\n",
    ),
    ("nobody retires", "while idle and idle[0].idle_at < before:", "while False:"),
    ("everybody retires", "while idle and idle[0].idle_at < before:", "while idle:"),
)

SENDING: Final = [
    *_in(
        "transport",
        (
            "kept whatever came",
            "if whole and line.answer.reusable and not self._closed:",
            "if True:",
        ),
        ("kept though it said otherwise", "line.answer.reusable", "line.answer.done"),
        ("kept though half of the request is missing", "if whole and line", "if line"),
        ("places are not given back", "        lines.give()\n", "        pass\n"),
        (
            "a failed line stays busy",
            "            lines.drop(line)\n            raise\n",
            "            raise\n",
        ),
        ("the last method counts", "line.answer.begin(head.method)", 'line.answer.begin("GET")'),
        ("the last answer stays", "        line.answer.begin(head.method)\n", ""),
    ),
    *_in(
        "line",
        ("never stale", "            self._socket.recv(1)\n", "            return False\n"),
        (
            "stale is what was said",
            "        except OSError:\n            pass\n        return True",
            "        except OSError:\n            return True\n        return False",
        ),
        (
            "sent but the rest",
            "left = left[self.offer(left) :]",
            "self.offer(left)\n            return",
        ),
    ),
    *_in(
        "exchange",
        (
            "waits until all is sent",
            "return await _both_ways(line, left)",
            "await _send(line, left)",
        ),
        ("all was sent", "    return whole\n", "    return True\n"),
        (
            "a broken line has no answer",
            "            pass  # reading tells",
            "            raise  # reading tells",
        ),
        (
            "nobody saw it",
            "raise TransportFailed(told, sent=True)",
            "raise TransportFailed(told, sent=False)",
        ),
    ),
    *_in(
        "head",
        ("no length", "if body or self.method in _BODY_EXPECTED:", "if body:"),
        ("our own name", "every.update((name.lower(), value)", "every.update((name, value)"),
    ),
    *_in(
        "address",
        (
            "no question",
            '                    target += "?" + quote(parts.query, safe=_KEPT)\n',
            "                    pass\n",
        ),
    ),
]

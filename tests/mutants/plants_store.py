"""Faults in what outlives the process; each breaks a law over the lives of one."""

from __future__ import annotations

from typing import Final

from tests.mutants.harness import planted_in as _in

STORE: Final = (
    *_in(
        "understudy_actors.keeper.actor",
        (
            "told before it is written",
            "        self._asked.append(self._context.reply())\n        self._desk.hurry()\n",
            "        self._context.reply().send(True)\n",
        ),
    ),
    *_in(
        "understudy_actors.keeper.outbox",
        (
            "a batch that failed is given up",
            "        self.failing = why\n",
            "        self.failing = why\n        self.batch = None\n",
        ),
    ),
    *_in(
        "understudy_actors.ledger.books",
        (
            "what is lent is not covered",
            "            windows.append(_window(window, need + ahead))",
            "            windows.append(_window(window, window.spent))",
        ),
        ("what may have been spent is forgotten", "spent=books.cover,", "spent=books.spent,"),
        (
            "a restart charges twice",
            "spent=books.cover,",
            "spent=books.cover + books.spent,",
        ),
        (
            "what is ahead of need is never given back",
            "        for each in ahead:\n            self.touch(each)\n",
            "",
        ),
        (
            "charges are not noted",
            "        self._settled = accounts\n        for each in accounts:\n"
            "            self.touch(each)\n",
            "        self._settled = accounts\n",
        ),
    ),
    *_in(
        "understudy_actors.ledger.account",
        (
            "what was not spent stays set aside",
            "        window.reserved -= amount\n",
            "        window.reserved -= actual\n",
        ),
    ),
    *_in(
        "understudy_actors.provider.minute",
        ("what a call may use stays held", "        self.held -= held\n", "        pass\n"),
        (
            "a minute lasts for ten",
            "    return math.floor(now) + 1.0 + SPAN_S + LATE_S\n",
            "    return math.floor(now) + 1.0 + 10 * SPAN_S + LATE_S\n",
        ),
    ),
    *_in(
        "understudy_actors.provider.remembered",
        (
            "breakers are taken over closed",
            "{name: each.moved(by_s) for name, each in remembered.endpoints.items()},",
            "{},",
        ),
    ),
    *_in(
        "understudy.store.keeping",
        ("breakers are not kept", "if isinstance(snapshot, ProviderSnapshot):", "if False:"),
    ),
)

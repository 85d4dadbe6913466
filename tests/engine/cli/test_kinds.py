"""`understudy providers kinds` tells of every kind, and shows no key."""

from __future__ import annotations

from understudy.cli.providers import kinds
from understudy.config import KINDS

SECRET = "sk-nobodys-0123456789"


def test_every_kind_is_told_of_and_no_key_is() -> None:
    rows = {row["kind"]: row for row in kinds({"GROQ_API_KEY": SECRET, "CO_API_KEY": " "})}
    assert rows.keys() == KINDS.keys()
    assert SECRET not in repr(rows)
    assert rows["groq"]["variables"] == [("GROQ_API_KEY", True)]
    assert rows["cohere"]["variables"] == [("CO_API_KEY", False)]
    assert rows["cloudflare"]["variables"][1] == ("CLOUDFLARE_ACCOUNT_ID", False)
    assert rows["bfl"]["operations"] == ["image", "image_edit"]
    assert (rows["ollama"]["price"], rows["ollama"]["price_as_of"]) == ("free", None)
    assert rows["bfl"]["price"] == "$0.025 a picture"
    assert rows["bfl"]["price_as_of"]
    assert rows["fal"]["price"] is None

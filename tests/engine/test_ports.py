"""Laws of the ports that production binds."""

from __future__ import annotations

import os
import uuid

from understudy.ports import Ports, TimeOrderedIds, fresh_seed


def test_a_request_id_is_a_uuid_of_version_7_in_its_usual_form() -> None:
    ids = TimeOrderedIds()
    for _ in range(1000):
        text = ids.request_id()
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_request_ids_never_repeat_and_begin_with_the_time() -> None:
    ids, others = TimeOrderedIds(), TimeOrderedIds()
    made = [each.request_id() for _ in range(5000) for each in (ids, others)]
    assert len(set(made)) == len(made)
    stamps = [text[:13] for text in made]
    assert stamps == sorted(stamps)


def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    ids = TimeOrderedIds()
    ids.request_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, ids.request_id()[13:].encode())
        os._exit(0)
    os.close(writer)
    told = os.read(reader, 100).decode()
    os.close(reader)
    os.waitpid(child, 0)
    assert told != ids.request_id()[13:]


def test_two_engines_have_different_seeds() -> None:
    assert fresh_seed() != fresh_seed()
    assert Ports().randomness.bits("a", 1) != Ports().randomness.bits("a", 1)

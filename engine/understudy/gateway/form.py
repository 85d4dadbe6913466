"""Reading forms with pictures (`multipart/form-data`): bounded, in memory, or a clear refusal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from understudy.gateway.body import BODY_MAX, BODY_S, Receive, read_bytes
from understudy.gateway.problem import Refused
from understudy_actors.domain.request import IMAGES_MAX, ImageFile

KIND: Final = "multipart/form-data"
FIELDS_MAX: Final = 64
FIELD_BYTES_MAX: Final = 256 * 1024
"""Of a text; prompts have 32,000 characters at most."""

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)
_MEDIA_TYPE_MAX: Final = 40


class _InMemory(MultiPartParser):
    spool_max_size = BODY_MAX + 1  # no file touches the disk


async def read_form(
    receive: Receive, headers: Mapping[str, str], most: int = BODY_MAX, limit_s: float = BODY_S
) -> dict[str, Any]:
    """A caller's form: texts by name, pictures as lists of `ImageFile`.

    `name[]` is `name`, and `name[inner]` a table, as clients write lists and tables in forms.

    Raises:
        Refused: It is too large, comes too slowly, is no form, or holds a file that is no picture.
        Gone: The caller has hung up.
    """
    kind = headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != KIND:
        why = f"the body must be a form with files: send it as {KIND}"
        raise Refused(why, status=415, code="unsupported_media_type")
    body = await read_bytes(receive, headers, most, limit_s)
    parser = _InMemory(
        Headers({"content-type": kind}),
        _once(body),
        max_files=IMAGES_MAX + 1,
        max_fields=FIELDS_MAX,
        max_part_size=FIELD_BYTES_MAX,
    )
    try:
        parsed = await parser.parse()
    except MultiPartException as error:
        raise Refused(f"the body is no such form: {error.message}", code="invalid_form") from None
    try:
        return await _fields(parsed.multi_items())
    finally:
        await parsed.close()


async def _fields(items: Iterable[tuple[str, str | UploadFile]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for given, value in items:
        name, _, inner = given.partition("[")
        inner = inner.removesuffix("]")
        if isinstance(value, UploadFile):
            pictures = found.setdefault(name, [])
            if not isinstance(pictures, list):
                raise Refused(f"{name}: it is there twice", param=name)
            pictures.append(_picture(name, await value.read(), value.content_type or ""))
        elif inner:
            table = found.setdefault(name, {})
            if not isinstance(table, dict):
                raise Refused(f"{name}: it is there twice", param=name)
            table[inner] = value
        elif name in found:
            raise Refused(f"{name}: it is there twice", param=name)
        else:
            found[name] = value
    return found


def _picture(name: str, data: bytes, said: str) -> ImageFile:
    """A file by what it begins with, or else by what the caller calls it."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return ImageFile(data, kind)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFile(data, "image/webp")
    kind = said.partition(";")[0].strip().lower()
    if not data or not kind.startswith("image/") or len(kind) > _MEDIA_TYPE_MAX:
        raise Refused(f"{name}: expected a picture: png, jpeg, webp or gif", param=name)
    return ImageFile(data, kind)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body

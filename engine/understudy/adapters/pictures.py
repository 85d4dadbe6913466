"""Pictures: their sizes in words, their bytes, and whether these are all there."""

from __future__ import annotations

import math
from binascii import b2a_base64
from typing import Final

from understudy.adapters.body import Unusable
from understudy.adapters.openai_replies import image_of
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImageFile, ImageInput
from understudy_actors.domain.result import Image

_MARKED: Final = ((b"\x89PNG\r\n", b"IEND\xaeB`\x82"), (b"\xff\xd8", b"\xff\xd9"))
"""How files that end with a mark begin and end: PNG and JPEG."""
_RIFF: Final = b"RIFF"


def bad(why: str) -> Unusable:
    """The complaint about a request that a format cannot express."""
    return Unusable(why, ErrorClass.BAD_REQUEST)


def only_one(asked: ImageInput) -> None:
    """For formats that draw one picture a request.

    Raises:
        Unusable: (BAD_REQUEST) More are asked for.
    """
    if asked.n != 1:
        raise bad("this wire format draws one picture a request")


def only_drawn(asked: ImageInput) -> None:
    """For formats that edit nothing.

    Raises:
        Unusable: (BAD_REQUEST) There are pictures to be edited.
    """
    if asked.images or asked.mask is not None:
        raise bad("this wire format edits no pictures")


def size_of(asked: ImageInput) -> tuple[int, int] | None:
    """Width and height in pixels; None leaves them to the provider.

    Raises:
        Unusable: (BAD_REQUEST) The size is none.
    """
    if asked.size is None or asked.size == "auto":
        return None
    width, _, height = asked.size.partition("x")
    if not (_pixels(width) and _pixels(height)):
        raise bad("the size is not like 1024x1024")
    return int(width), int(height)


def ratio_of(asked: ImageInput) -> str | None:
    """The size `1024x768` as `4:3`; None leaves it to the provider.

    Raises:
        Unusable: (BAD_REQUEST) The size is none.
    """
    if (size := size_of(asked)) is None:
        return None
    divisor = math.gcd(*size)
    return f"{size[0] // divisor}:{size[1] // divisor}"


def base64_of(file: ImageFile) -> str:
    """A file as base64."""
    return b2a_base64(file.data, newline=False).decode()


def data_url(file: ImageFile) -> str:
    """A file as a URL that holds it."""
    return f"data:{file.media_type};base64,{base64_of(file)}"


def picture_of(body: bytes, media_type: str) -> Image:
    """The picture that is a whole body.

    Raises:
        Unusable: It is none, or not all of it is there.
    """
    if not complete(body):
        raise Unusable("the body is no whole picture")
    return image_of(base64_of(ImageFile(body)), media_type)


def complete(body: bytes) -> bool:
    """Is it a picture, and all of it? PNG and JPEG end with a mark, WebP begins with its length;
    what is in another format counts as none."""
    for start, end in _MARKED:
        if body.startswith(start):
            return body.endswith(end)
    return body.startswith(_RIFF) and len(body) == int.from_bytes(body[4:8], "little") + 8


def _pixels(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) <= 5 and int(text) > 0

"""Forms with files (`multipart/form-data`), as bytes. Source: RFC 7578."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from understudy.adapters.body import Unusable, encode
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImageFile


def form(fields: Mapping[str, object], files: Iterable[tuple[str, ImageFile]]) -> tuple[str, bytes]:
    """Its content type and its body; the same ones for the same form.

    The boundary is a digest of all that it separates, so that nothing of that can hold it.

    Args:
        fields: Texts stay as they are, everything else becomes JSON.
        files: Each with the name of its field.

    Raises:
        Unusable: (BAD_REQUEST) A value has no text, or a media type is none.
    """
    parts = [(_disposition(name), _text(value)) for name, value in fields.items()]
    for at, (name, file) in enumerate(files):
        if not (file.media_type.isascii() and file.media_type.isprintable()):
            raise Unusable("a picture's media type is none", ErrorClass.BAD_REQUEST)
        kind = file.media_type.partition("/")[2].partition("+")[0] or "bin"
        head = f'{_disposition(name)}; filename="picture{at}.{kind}"'
        parts.append((f"{head}\r\ncontent-type: {file.media_type}", file.data))
    digest = blake2b(digest_size=16)
    for head, value in parts:
        digest.update(head.encode() + value)
    boundary = digest.hexdigest()
    body = [f"--{boundary}\r\n{head}\r\n\r\n".encode() + value + b"\r\n" for head, value in parts]
    last = f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", b"".join([*body, last])


def _disposition(name: str) -> str:
    # Names come from this library and from a target's options; quotes as browsers send them.
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return f'content-disposition: form-data; name="{quoted}"'


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        return encode(value)
    try:
        return value.encode()
    except UnicodeEncodeError:
        pass
    raise Unusable("something in it has no text form", ErrorClass.BAD_REQUEST)

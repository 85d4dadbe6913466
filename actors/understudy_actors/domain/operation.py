"""Kinds of work a request may ask for. Users add further kinds by naming them."""

from typing import Final

CHAT: Final = "chat"
IMAGE: Final = "image"
IMAGE_EDIT: Final = "image_edit"
VIDEO: Final = "video"
EMBEDDING: Final = "embedding"

BUILT_IN: Final = (CHAT, IMAGE, IMAGE_EDIT, VIDEO, EMBEDDING)

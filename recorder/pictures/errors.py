"""Why a picture cannot be had: one error for each reason."""

from __future__ import annotations


class PictureError(ValueError):
    """A picture cannot be had; subclasses say why."""


class PictureStructureError(PictureError):
    """A picture's bytes are not what its codec allows."""


class PictureSizeError(PictureError):
    """A picture has another size than its camera."""


class PictureUndecodableError(PictureError):
    """A picture cannot be decoded."""

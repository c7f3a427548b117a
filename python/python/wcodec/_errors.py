"""What can be wrong with a ``.wcodec`` file."""

from __future__ import annotations


class WcodecError(Exception):
    """A ``.wcodec`` file cannot be read.

    The text says what was wrong, where, and what was expected.

    Attributes:
        file: the path of the file, if it has one.
        layer: the layer in which it went wrong, if it was inside one.
        block: the number of the block in its segment, if it was inside one.
        byte: the position in the ``.wcodec`` file, where it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        layer: str | None = None,
        block: int | None = None,
        byte: int | None = None,
    ) -> None:
        super().__init__(message)
        self.file = None if file is None else str(file)
        self.layer = layer
        self.block = block
        self.byte = byte


class CorruptError(WcodecError):
    """The file is damaged, or no ``.wcodec`` file at all."""


class TruncatedError(CorruptError):
    """The end of the file is missing."""


class UnsupportedError(WcodecError):
    """The file needs a newer version of wcodec, or a dtype that the framework does not have; or
    tensors are wanted of an original that has no known structure."""


class LimitError(WcodecError):
    """The file asks for more memory than is allowed (see ``max_size`` of :func:`wcodec.open`)."""


class MissingBaseError(WcodecError):
    """A checkpoint that the file was predicted from was not found, or has changed (see ``base`` of
    :func:`wcodec.open`)."""


class UnknownLayerError(WcodecError, KeyError):
    """There is no layer, or file of an archive, of this name."""

    # KeyError would quote the text.
    __str__ = Exception.__str__

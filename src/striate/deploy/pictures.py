"""From whatever holds a picture to the pixels a network wants: path, encoded bytes, file, PIL image, array, tensor."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from striate.core.errors import DataError
from striate.core.paths import file_status
from striate.core.spec import ImageSpec
from striate.data.decode import MAX_BYTES, MAX_PIXELS, Pixels, comes_smaller, decode, picture_to_spec

Encoded = bytes | bytearray | memoryview
Picture = str | os.PathLike[str] | Encoded | BinaryIO | Image.Image | NDArray[Any] | Tensor


def several(pictures: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """Return pictures one by one: a single one as a list of one, an N C H W tensor or N H W C array as its pictures."""
    if isinstance(pictures, np.ndarray | Tensor):
        batch = pictures.ndim == 4 and not (isinstance(pictures, Tensor) and pictures.is_sparse)
        return list(pictures) if batch else [pictures]
    single = isinstance(pictures, str | os.PathLike | Encoded | Image.Image) or hasattr(pictures, "read")
    if single or not isinstance(pictures, Iterable):  # what is no picture at all is refused as 'picture 0'
        return [cast(Picture, pictures)]
    return cast(Iterable[Picture], pictures)


def picture_name(picture: Picture, number: int) -> str:
    """Return what to call a picture: its path, or 'picture 3' by its number among those given."""
    return os.fsdecode(picture) if isinstance(picture, str | os.PathLike) else f"picture {number}"


def picture_pixels(picture: Picture, spec: ImageSpec, where: str) -> Pixels:
    """Return one picture's pixels as the network wants them, uint8 H W C.

    Args:
        picture: Any of the kinds of `Picture`.
        spec: Channels, size, resize, interpolation and background.
        where: The picture's name, for messages.

    Raises:
        DataError: Not readable, damaged, or of a type, shape or range that is not a picture.
    """
    if isinstance(picture, str | os.PathLike):
        return _from_path(Path(os.fsdecode(picture)), spec)
    if isinstance(picture, Image.Image):
        return _from_pil(picture, spec, where)
    if isinstance(picture, Tensor):
        return _from_tensor(picture, spec, where)
    if isinstance(picture, np.ndarray):
        return _from_array(picture, spec, where)
    if isinstance(picture, Encoded) or hasattr(picture, "read"):
        return decode(_encoded(picture, where), spec, where)
    raise DataError(
        f"a value of type {type(picture).__name__} is not a picture",
        where=where,
        fix="give a path, encoded bytes, an open file, a PIL image, an array or a tensor",
    )


def _from_path(path: Path, spec: ImageSpec) -> Pixels:
    status = file_status(path, DataError)
    if status is None:
        fix = "check the path"
        if any(letter in str(path) for letter in "*?["):
            fix = "give the folder, or the pattern without quotes: the shell makes names of it where files match"
        raise DataError("picture not found", where=path, fix=fix)
    if stat.S_ISDIR(status.st_mode):
        raise DataError("a folder, not a picture", where=path, fix="give the pictures in it")
    return decode(path, spec)


def _encoded(source: Encoded | BinaryIO, where: str) -> bytes:
    """Return the bytes of an encoded picture, from a file no more than a picture may have."""
    try:
        data = bytes(source) if isinstance(source, Encoded) else _read(source)
    except Exception as error:  # closed, write-only, or whatever else the caller's object has to say
        raise DataError(
            f"cannot be read as bytes ({error})", where=where, fix="open it with open(path, 'rb')"
        ) from None
    if len(data) > MAX_BYTES:
        raise DataError(f"more than {MAX_BYTES:,} bytes", where=where, fix="make the picture smaller")
    return data


def _read(file: BinaryIO) -> bytes:
    data = bytearray()
    while len(data) <= MAX_BYTES and (chunk := file.read(MAX_BYTES + 1 - len(data))):
        data += chunk  # a raw file or a socket may give less than was asked for
    return bytes(data)


def _from_pil(picture: Image.Image, spec: ImageSpec, where: str) -> Pixels:
    width, height = picture.size
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(
            f"PIL image of {width} × {height} pixels", where=where, fix=f"give one of 1 to {MAX_PIXELS:,} pixels"
        )
    try:
        if comes_smaller(picture, max(spec.height, spec.width)) and (data := _undecoded(picture)):
            return decode(data, spec, where)  # at the size that its file would be decoded at
        picture.load()
        return picture_to_spec(_upright(picture), spec, where)
    except DataError:
        raise
    except Exception as error:  # closed, cut off, or of a mode that Pillow cannot convert
        raise DataError(
            f"PIL image of mode {picture.mode} cannot be used ({error})",
            where=where,
            fix="give it while it is open, or convert it first: .convert('RGB')",
        ) from None


def _undecoded(picture: Image.Image) -> bytes:
    """Return the bytes of an opened file that has not been decoded yet, else nothing."""
    file = getattr(picture, "fp", None)
    if file is None or not getattr(picture, "tile", None):
        return b""
    place = file.tell()
    file.seek(0)
    data: bytes = file.read(MAX_BYTES + 1)
    file.seek(place)
    return data


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # broken EXIF says nothing about the pixels
        return picture


def _from_tensor(tensor: Tensor, spec: ImageSpec, where: str) -> Pixels:
    _require_raw(tensor.dtype, torch.uint8, where)
    if not (tensor.ndim == 2 or (tensor.ndim == 3 and tensor.shape[0] in (1, 3, 4))):
        raise _no_picture(tensor.shape, "H W, 1 H W, 3 H W or 4 H W", "for H W C, .permute(2, 0, 1)", where)
    try:
        array = tensor.detach().cpu().numpy()
    except Exception as error:  # sparse, without data, …
        raise DataError(f"a tensor that NumPy cannot read ({error})", where=where, fix="give a dense one") from None
    return _fitted(np.moveaxis(array, 0, -1) if array.ndim == 3 else array, spec, where)


def _from_array(array: NDArray[Any], spec: ImageSpec, where: str) -> Pixels:
    _require_raw(array.dtype, np.dtype(np.uint8), where)
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))):
        raise _no_picture(array.shape, "H W, H W 1, H W 3 or H W 4", "for C H W, np.moveaxis(x, 0, -1)", where)
    return _fitted(array, spec, where)


def _require_raw(kind: object, wanted: object, where: str) -> None:
    if kind != wanted:
        raise DataError(
            f"pixels of type {kind}: the network normalises by itself and needs raw uint8, 0 … 255",
            where=where,
            fix="undo any normalisation, multiply by 255 if the values lie on 0 … 1, round, and convert to uint8",
        )


def _no_picture(shape: Iterable[int], shapes: str, remedy: str, where: str) -> DataError:
    return DataError(
        f"shape {tuple(shape)} is not a picture: it must be {shapes}", where=where, fix=f"{remedy}; a batch as a list"
    )


def _fitted(array: NDArray[np.uint8], spec: ImageSpec, where: str) -> Pixels:
    grey = array.ndim == 3 and array.shape[2] == 1
    if not 0 < array.shape[0] * array.shape[1] <= MAX_PIXELS:
        raise DataError(
            f"{array.shape[1]} × {array.shape[0]} pixels", where=where, fix=f"give 1 to {MAX_PIXELS:,} pixels"
        )
    if array.max() == 1:
        raise DataError(
            "no pixel is above 1: these are values on 0 … 1 cut off to whole numbers, not pixels on 0 … 255",
            where=where,
            fix="multiply by 255 before converting to uint8",
        )
    return picture_to_spec(Image.fromarray(np.ascontiguousarray(array[:, :, 0] if grey else array)), spec, where)

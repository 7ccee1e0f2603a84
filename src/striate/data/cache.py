"""Decoded pictures, kept between runs: a folder is decoded once, later runs map the pixels from one file.

The file is named by a hash of all that decides the pixels: where the folder is; each picture's name, size and
times of change; the size and form asked for; the versions of the decoder. A file that changes has another time of
change, which no user can set, so its folder has another name here. The pixels lie in the file as in memory, N C H W;
behind them stands what is needed to trust them. One file, renamed when it is whole, cannot be half there; what a
power cut or a bad disk does to it later is found by its checksums, all of which are compared each time: at 4 GB/s
that costs less than the statistics that every run takes from all the pixels.

Nothing here is needed: where no cache can be written, pictures are decoded into memory.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
import torch
from torch import Tensor

from striate.core.errors import DataError
from striate.core.memory import require_memory
from striate.core.paths import user_path
from striate.core.spec import ImageSpec
from striate.data.decode import DECODER, PassingError
from striate.data.parallel import Batch, Decoders, Errors, Outcome, errors_among, seconds_to_decode, usable_cores

WORTH = 0.5  # seconds of decoding from which a folder is kept
LIMIT = 10 * 2**30  # bytes of all that is kept …
LIMIT_SHARE = 0.1  # … and share of the disk's free space, whichever is less
SUFFIX = ".pixels"
_UNFINISHED = ".unfinished"
_STALE = 60.0  # seconds between a file's last write and its renaming at most, while nobody holds it
_TICK = 0.02  # seconds; a change within one tick of the file system's clock leaves the time of change as it was
_BLOCK = 2**25  # bytes under one checksum
_SPEC_FIELDS = {"channels", "height", "width", "resize", "interpolation", "background", "crop"}


@dataclass(frozen=True)
class Decoded:
    """The pictures of some files.

    Args:
        images: uint8, N C H W, in the order of the files; private to this process.
        errors: For each file None, or why its picture is black.
        conversions: For each file what was done to its picture on the way, '' for nothing.
        notes: What the user should know, one sentence each.
    """

    images: Tensor  # N C H W
    errors: Errors
    conversions: Sequence[str]
    notes: tuple[str, ...] = ()


def cache_folder() -> Path | None:
    """Return where decoded pictures are kept: below STRIATE_CACHE, XDG_CACHE_HOME or ~/.cache; None without a home."""
    own, common = os.environ.get("STRIATE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    root = user_path(own) if own else user_path(common or "~/.cache") / "striate"
    return None if root.parts[:1] == ("~",) else root.absolute() / "pictures"


def read_pictures(root: Path, paths: Sequence[str], spec: ImageSpec) -> Decoded:
    """Return the pictures of files in a folder, from the cache or, the first time, decoded.

    Args:
        root: The folder, for messages and as part of the name in the cache.
        paths: The files, all below `root`.
        spec: What they are decoded to.

    Raises:
        ResourceError: Neither the memory nor the cache can hold the pictures.
    """
    shape = (len(paths), *spec.input_shape)
    stamps = file_stamps(paths)
    encoded = sum(size for _, size, _, _ in stamps)
    if seconds_to_decode(len(paths), encoded, int(np.prod(shape))) < WORTH:
        return _in_memory(root, paths, spec, encoded)
    folder = cache_folder()
    if folder is None:
        note = "decoded pictures are not kept for the next run (no home folder; set STRIATE_CACHE)"
        return _in_memory(root, paths, spec, encoded, note)
    key = _key(root, stamps, spec)
    entry = folder / f"{key}{SUFFIX}"
    found = _open(entry, key, shape, paths)
    if found is not None:
        return found
    try:
        return _build(entry, key, paths, spec, stamps, encoded)
    except OSError as error:
        note = f"decoded pictures are not kept for the next run ({folder}: {error.strerror or error})"
        return _in_memory(root, paths, spec, encoded, note)


Stamp = tuple[str, int, int, int]


def file_stamps(paths: Sequence[str]) -> list[Stamp]:
    """Return name, bytes and times of change (of the content, of the file; ns) of each file; what is gone has none.

    Any later change of a file changes its stamp: one that was changed a moment ago is waited for.
    """
    began = time.time()
    stamps = _stamps(paths)
    newest = max((max(changed, touched) for _, _, changed, touched in stamps), default=0) / 1e9
    if abs(began - newest) < _TICK:
        time.sleep(_TICK)
        stamps = _stamps(paths)
    return stamps


def _stamps(paths: Sequence[str]) -> list[Stamp]:
    stamps = []
    for name in paths:
        try:
            status = os.stat(name)
        except OSError:
            stamps.append((name, 0, 0, 0))
        else:
            stamps.append((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return stamps


def _key(root: Path, stamps: Sequence[Stamp], spec: ImageSpec) -> str:
    wanted = spec.model_dump_json(include=_SPEC_FIELDS)
    digest = hashlib.sha256(f"{DECODER}\n{PIL.__version__}\n{wanted}\n".encode())
    digest.update(os.fsencode(root.resolve()) + b"\0")
    below = len(str(root / "x")) - 1  # 0 for the folder "."
    lines = (f"{name[below:]}\0{size}\0{changed}\0{touched}\0" for name, size, changed, touched in stamps)
    digest.update(os.fsencode("".join(lines)))
    return digest.hexdigest()[:40]


def _in_memory(root: Path, paths: Sequence[str], spec: ImageSpec, encoded: int, *notes: str) -> Decoded:
    shape = (len(paths), *spec.input_shape)
    require_memory(
        int(np.prod(shape)),
        f"{len(paths):,} pictures of {spec.height} × {spec.width}",
        where=root,
        fix=f"use smaller pictures: --img-size {spec.height // 2}",
    )
    images = np.empty(shape, np.uint8)
    with Decoders(spec, len(paths), encoded) as decoders:
        outcomes = decoders.into(paths, images)
    return _decoded(torch.from_numpy(images), outcomes, notes)


def _decoded(images: Tensor, outcomes: Sequence[Outcome], notes: tuple[str, ...] = ()) -> Decoded:
    conversions = [outcome if isinstance(outcome, str) else "" for outcome in outcomes]
    return Decoded(images, errors_among(outcomes), conversions, notes)


def _build(
    entry: Path, key: str, paths: Sequence[str], spec: ImageSpec, stamps: Sequence[Stamp], encoded: int
) -> Decoded:
    """Decode into a new entry, block by block, and return it; OSError where it cannot be written."""
    shape = (len(paths), *spec.input_shape)
    entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_unfinished(entry.parent)
    if 2 * int(np.prod(shape)) > shutil.disk_usage(entry.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    descriptor, name = tempfile.mkstemp(_UNFINISHED, key, entry.parent)  # readable for this user only
    unfinished = Path(name)
    try:
        with open(descriptor, "wb", buffering=0) as file, Decoders(spec, len(paths), encoded) as decoders:
            with suppress(OSError):  # not all file systems have locks
                fcntl.flock(file, fcntl.LOCK_EX)
            outcomes = _write(file, key, paths, spec, decoders)
        passing = any(isinstance(outcome, PassingError) for outcome in outcomes)
        if passing or _stamps(paths) != stamps:  # true for this run, but not for the next
            return _decoded(_map(unfinished, shape), outcomes)
        os.replace(unfinished, entry)
        found = _decoded(_map(entry, shape), outcomes)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    _evict(entry)
    return found


def _write(file: BinaryIO, key: str, paths: Sequence[str], spec: ImageSpec, decoders: Decoders) -> list[Outcome]:
    rows = _rows(spec.input_shape)
    block = np.empty((min(rows, len(paths)), *spec.input_shape), np.uint8)
    outcomes: list[Outcome] = []
    checksums = []
    for start in range(0, len(paths), rows):
        part = paths[start : start + rows]
        outcomes += decoders.into(part, block[: len(part)])
        _write_all(file, block[: len(part)].reshape(-1).data)
        checksums.append(zlib.crc32(block[: len(part)].data))
    errors = {row: [error.what, error.fix] for row, error in enumerate(outcomes) if isinstance(error, DataError)}
    done = {row: outcome for row, outcome in enumerate(outcomes) if outcome and isinstance(outcome, str)}
    footer = json.dumps({"key": key, "checksums": checksums, "errors": errors, "conversions": done}).encode()
    end = b"%08x%08x" % (len(footer), zlib.crc32(footer))
    _write_all(file, memoryview(footer + end))
    return outcomes


def _write_all(file: BinaryIO, data: memoryview) -> None:
    while data:  # an unbuffered file may take less than it is given
        data = data[file.write(data) :]


def _rows(shape: tuple[int, ...]) -> int:
    return max(1, _BLOCK // int(np.prod(shape)))


def _map(path: Path, shape: tuple[int, ...]) -> Tensor:
    """Return the pixels of a file as a tensor; what is written to it stays in this process."""
    return torch.from_numpy(np.memmap(path, np.uint8, "c", shape=shape))


def _open(entry: Path, key: str, shape: tuple[int, ...], paths: Sequence[str]) -> Decoded | None:
    """Return an entry, None where there is none or it is damaged."""
    size = int(np.prod(shape))
    try:
        with open(entry, "rb") as file:
            footer = _footer(file, size)
        if footer["key"] != key:
            return None
        images = _map(entry, shape)
        if _checksums(images.numpy()) != footer["checksums"]:
            return None
        outcomes: list[Outcome] = [""] * len(paths)
        for row, (what, fix) in footer["errors"].items():
            outcomes[int(row)] = DataError(what, where=paths[int(row)], fix=fix)
        for row, done in footer["conversions"].items():
            outcomes[int(row)] = str(done)
    # whatever is not what we write there, or wrote before conversions were kept
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    with suppress(OSError):
        os.utime(entry)  # used last
    return _decoded(images, outcomes)


def _footer(file: BinaryIO, size: int) -> dict[str, Any]:
    file.seek(size)
    rest = file.read()
    footer, end = rest[:-16], rest[-16:]
    if end != b"%08x%08x" % (len(footer), zlib.crc32(footer)):
        raise ValueError
    content: dict[str, Any] = json.loads(footer)
    return content


def _checksums(images: Batch) -> list[int]:
    rows = _rows(images.shape[1:])
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(lambda start: zlib.crc32(images[start : start + rows].data), range(0, len(images), rows)))


def entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the entries of a cache folder with their states, the one used last first."""
    found = []
    with suppress(OSError):
        for path in folder.glob(f"*{SUFFIX}"):
            with suppress(OSError):  # removed by another process just now
                found.append((path, path.stat()))
    return sorted(found, key=lambda entry: entry[1].st_mtime, reverse=True)


def size_limit(folder: Path) -> int:
    """Return how many bytes the entries of a cache folder may take together."""
    taken = sum(status.st_size for _, status in entries(folder))
    here = next(place for place in (folder, *folder.parents) if place.exists())
    return min(LIMIT, int(LIMIT_SHARE * (taken + shutil.disk_usage(here).free)))


def describe_cache() -> dict[str, object]:
    """Return where decoded pictures are kept, how many folders of them, and their size beside the limit, in GiB."""
    folder = cache_folder()
    if folder is None:
        return {"folder": "none: there is no home folder; set STRIATE_CACHE"}
    found = entries(folder)
    return {
        "folder": str(folder),
        "entries": len(found),
        "size_gib": round(sum(status.st_size for _, status in found) / 2**30, 2),
        "limit_gib": round(size_limit(folder) / 2**30, 2),
    }


def _evict(used: Path) -> None:
    """Remove the entries unused for longest beyond the limit, but not the one in use."""
    with suppress(OSError):
        room = size_limit(used.parent) - used.stat().st_size
        for path, status in entries(used.parent):
            if path != used:
                room -= status.st_size
                if room < 0:
                    with suppress(OSError):
                        path.unlink()


def _remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left: files that no process holds."""
    for path in folder.glob(f"*{_UNFINISHED}"):
        with suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where its writer is at work
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()

"""CelebA: 202,599 aligned faces of 178×218 by their 40 attributes (Liu et al. 2015).

By one attribute they are of two classes, without and with it; by several, each face is of any number of them.

Read are the authors' own files: the pictures (a folder, or their zip archive as it is downloaded), a table
of attributes and a table of parts. Only the pictures asked for are decoded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch

from striate.core.errors import DataError, SettingsError
from striate.core.memory import require_memory
from striate.core.paths import to_type
from striate.core.registry import nearest
from striate.core.settings import DataSettings
from striate.core.spec import ImageSpec
from striate.data.dataset import FileRecord, ImageDataset, Splits, label_texts
from striate.data.decode import MAX_BYTES, read_bytes
from striate.data.find import fetch_or_explain, find_folder
from striate.data.parallel import Outcome, decode_here, errors_among, require_readable, usable_cores
from striate.data.sources.assemble import file_record
from striate.data.sources.registry import SOURCES, Source

PICTURES = "img_align_celeba"
ARCHIVE = f"{PICTURES}.zip"
ATTRIBUTE_TABLE = "list_attr_celeba.txt"
PART_TABLE = "list_eval_partition.txt"
PARTS = {"0": "train", "1": "val", "2": "test"}
HEIGHT, WIDTH = 218, 178
SIDE = 64  # by default
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip
_CHUNK = 256
_SHOWN = 10


def load_celeba(attributes: str, settings: DataSettings) -> Splits:
    """Return the faces without and with an attribute, classes 0 and 1, in the authors' three parts.

    Several attributes, with commas between them, are classes of which a face may have any number.

    With `crop` the pictures keep their whole height (78 × 64 for a side of 64), so that there is something to
    crop from. `first` limits what is decoded of the training part.

    Raises:
        SettingsError: No such attribute, or none.
        DataError: A table or picture is missing or damaged; the message names all of them.
        ResourceError: Not here and not to be downloaded, or too large for the memory.
    """
    wanted = list(dict.fromkeys(name.strip() for name in attributes.split(",")))
    for attribute in wanted:
        _require_attribute(attribute)
    folder = fetch_celeba(settings.data_dir)
    present = read_attributes(folder / ATTRIBUTE_TABLE, wanted)
    parts = read_parts(folder / PART_TABLE, present)
    parts["train"] = parts["train"][: settings.first]
    spec = _working_spec(wanted, settings)

    def labels(names: Sequence[str]) -> torch.Tensor:
        flags = torch.tensor([present[name] for name in names], dtype=torch.bool).reshape(-1, len(wanted))
        return flags if spec.multi_label else flags[:, 0].long()

    count = sum(map(len, parts.values()))
    require_memory(
        count * spec.channels * spec.height * spec.width,
        f"{count:,} pictures of {spec.height} × {spec.width}",
        where=folder,
        fix=f"use fewer or smaller pictures: --first 20000, --img-size {spec.width // 2}",
    )
    with _pictures(folder) as read:
        decoded = {part: _decode(names, read, spec) for part, names in parts.items()}
    left_out = require_readable(
        errors_among([outcome for _, outcomes in decoded.values() for outcome in outcomes]),
        settings.skip_bad,
        f"delete and fetch the pictures of {folder} again",
    )
    datasets: dict[str, ImageDataset] = {}
    files: list[FileRecord] = []
    for part, (images, outcomes) in decoded.items():
        whole = ImageDataset(images, labels(parts[part]), spec.classes, [f"celeba/{name}" for name in parts[part]])
        readable = [isinstance(outcome, str) for outcome in outcomes]
        datasets[part] = whole if all(readable) else whole.select(torch.tensor(readable).nonzero().squeeze(1))
        files += [
            file_record(name, part, text, outcome)
            for name, text, outcome in zip(whole.names, label_texts(whole.labels, spec.classes), outcomes, strict=True)
        ]
    return Splits(
        name=f"celeba:{','.join(wanted)}",
        train=datasets["train"],
        val=datasets["val"] if parts["val"] else None,
        test=datasets["test"] if parts["test"] else None,
        files=files,
        notes=left_out,
    )


def _require_attribute(attribute: str) -> None:
    if attribute not in ATTRIBUTES:
        by_small_letters = {name.lower(): name for name in ATTRIBUTES}
        guess = nearest(attribute.lower(), by_small_letters)
        hint = f"did you mean 'celeba:{by_small_letters[guess]}'? " if guess else "write e.g. celeba:Smiling. "
        raise SettingsError(
            "CelebA has no such attribute" if attribute else "CelebA's classes are those of its attributes",
            where=f"celeba:{attribute}" if attribute else "celeba",
            fix=f"{hint}Its attributes: {', '.join(ATTRIBUTES)}",
        )


def find_celeba(data_dir: Path | None) -> Path | None:
    """Return the folder with the tables and the pictures (or their archive), or None."""

    def complete(folder: Path) -> bool:
        tables = all((folder / table).is_file() for table in (ATTRIBUTE_TABLE, PART_TABLE))
        return tables and ((folder / PICTURES).is_dir() or (folder / ARCHIVE).is_file())

    return find_folder(data_dir, ["celeba"], complete)


def fetch_celeba(data_dir: Path | None) -> Path:
    """Return CelebA's folder, fetched through torchvision where it is not on this machine."""

    def fetch(root: Path) -> None:
        import torchvision.datasets

        try:
            torchvision.datasets.CelebA(root, download=True)
        except (OSError, RuntimeError):
            raise
        except Exception as error:  # the errors of gdown, which it needs for Google Drive, are of no common kind
            raise ConnectionError(str(error)) from None

    folder = find_celeba(data_dir)
    if folder is None:
        fetch_or_explain(
            "celeba", data_dir, [f"celeba/{name}" for name in (ARCHIVE, ATTRIBUTE_TABLE, PART_TABLE)], fetch
        )
        folder = find_celeba(data_dir)
        assert folder is not None
    return folder


def read_attributes(path: Path, attributes: Sequence[str]) -> dict[str, list[bool]]:
    """Return which of the attributes each picture has, by the picture's name, in the table's order.

    The table: the number of pictures, the names of the attributes, then a row for each picture, its name and
    1 or -1 for each attribute.

    Raises:
        DataError: The table is not of this form.
    """
    lines = _lines(path)
    if len(lines) < 2 or lines[1].split() != list(ATTRIBUTES):
        raise _damaged(path, "its second line is not that of CelebA's 40 attributes")
    columns = [1 + ATTRIBUTES.index(attribute) for attribute in attributes]
    present = {}
    for number, line in enumerate(lines[2:], start=3):
        row = line.split()
        if len(row) != 1 + len(ATTRIBUTES) or not set(row[1:]) <= {"1", "-1"}:
            raise _damaged(path, f"line {number} is not a picture's name and 40 times 1 or -1")
        present[row[0]] = [row[column] == "1" for column in columns]
    rows = len(lines) - 2
    if lines[0].strip() != str(rows) or len(present) != rows:
        raise _damaged(path, f"{rows} rows of {len(present)} pictures, where its first line says {lines[0].strip()!r}")
    return present


def read_parts(path: Path, pictures: Collection[str]) -> dict[str, list[str]]:
    """Return the names of the pictures of each part (train, val, test), in the order of the table of parts.

    The table: a row for each picture, its name and 0, 1 or 2.

    Raises:
        DataError: The table is not of this form, or is of other pictures.
    """
    parts: dict[str, list[str]] = {part: [] for part in PARTS.values()}
    for number, line in enumerate(_lines(path), start=1):
        row = line.split()
        if len(row) != 2 or row[1] not in PARTS:
            raise _damaged(path, f"line {number} is not a picture's name and 0, 1 or 2")
        parts[PARTS[row[1]]].append(row[0])
    listed = [name for names in parts.values() for name in names]
    known = set(pictures)
    for what, names in (
        (f"pictures of {ATTRIBUTE_TABLE} are not in it", known - set(listed)),
        (f"pictures are not in {ATTRIBUTE_TABLE}", set(listed) - known),
    ):
        if names:
            raise _damaged(path, f"{len(names)} {what}:{_some([f' {name}' for name in sorted(names)])}")
    if len(listed) != len(known):
        raise _damaged(path, f"{len(listed) - len(known)} pictures stand in it twice")
    if not parts["train"]:
        raise _damaged(path, "no picture in it is of part 0, training")
    return parts


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError:
        raise _damaged(path, "it is not a text file") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path, fix=to_type("chmod", "u+r", path)) from None


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"not CelebA's own table: {what}", where=path, fix="delete it and fetch it again")


def _some(names: Sequence[str]) -> str:
    more = [f" and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ",".join([*names[:_SHOWN], *more])


def _working_spec(attributes: Sequence[str], settings: DataSettings) -> ImageSpec:
    side = settings.img_size or SIDE
    channels = settings.channels or 3
    return ImageSpec(
        channels=channels,
        height=side * HEIGHT // WIDTH if settings.crop else side,
        width=side,
        classes=tuple(attributes) if len(attributes) > 1 else (f"no-{attributes[0]}", attributes[0]),
        multi_label=len(attributes) > 1,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        resize=settings.resize or "crop",
        interpolation=settings.interpolation,
    )


@contextmanager
def _pictures(folder: Path) -> Iterator[Callable[[str], bytes]]:
    """Give the function from a picture's name to its bytes; DataError where it is missing."""
    if (folder / PICTURES).is_dir():
        yield lambda name: read_bytes(folder / PICTURES / name)
        return
    path = folder / ARCHIVE
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"not a zip archive ({error})", where=path, fix="delete it and fetch it again") from None

    def read(name: str) -> bytes:
        try:
            info = archive.getinfo(f"{PICTURES}/{name}")
        except KeyError:
            raise DataError("picture not found", where=f"{path}: {name}") from None
        if info.file_size > MAX_BYTES:
            raise DataError(f"file of {info.file_size:,} bytes (limit {MAX_BYTES:,})", where=f"{path}: {name}")
        try:
            return archive.read(info)
        except Exception as error:  # zipfile and its decompressors raise whatever the damage leads them to
            raise DataError(f"damaged archive ({error})", where=f"{path}: {name}") from None

    with archive:
        yield read


def _decode(names: Sequence[str], read: Callable[[str], bytes], spec: ImageSpec) -> tuple[torch.Tensor, list[Outcome]]:
    """Return the pictures, uint8 N C H W, and the outcome of each."""
    images = torch.empty(len(names), *spec.input_shape, dtype=torch.uint8)
    out = images.numpy()

    def chunk(start: int) -> list[Outcome]:
        part = slice(start, start + _CHUNK)
        return decode_here(names[part], spec, out[part], read)

    with ThreadPoolExecutor(usable_cores()) as pool:
        return images, list(chain.from_iterable(pool.map(chunk, range(0, len(names), _CHUNK))))


def _without_attribute(data_dir: Path | None) -> Splits:
    """Refuse to choose an attribute; the error lists them."""
    return load_celeba("", DataSettings(data_dir=data_dir))


SOURCES.register("celeba")(
    Source(
        load=_without_attribute,
        find=find_celeba,
        summary="faces by attributes (celeba:Smiling or celeba:Smiling,Male), 202,599 of 178×218 colour",
        load_attribute=load_celeba,
        fetch=fetch_celeba,
    )
)

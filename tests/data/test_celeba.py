"""CelebA in its authors' own files: attributes by name, the authors' parts, and what is said of damaged ones."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

import striate.data.sources.celeba as celeba
from striate.core import memory
from striate.core.errors import DataError, ResourceError, SettingsError
from striate.core.settings import DataSettings, TrainSettings
from striate.core.spec import ImageSpec
from striate.data.decode import decode
from striate.data.sources import SOURCES, load_data, open_data
from striate.deploy.measure import measure

# the header line of list_attr_celeba.txt as its authors published it
HEADER = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones "
    "Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline "
    "Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick "
    "Wearing_Necklace Wearing_Necktie Young "
)
PARTS = [0] * 6 + [1] * 3 + [2] * 3
NAMES = [f"{number:06}.jpg" for number in range(1, 13)]
VALUES = np.where(np.random.default_rng(0).random((12, 40)) < 0.5, -1, 1)
VALUES[:, 31] = [1, -1] * 6
VALUES[:, 18] = [1, 1, -1, -1] * 3


@pytest.fixture
def tree(tmp_path, nothing_on_this_machine) -> Path:
    """Return the data folder with a small CelebA in it, twelve faces of 218 × 178."""
    folder = tmp_path / "data" / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        coarse = np.random.default_rng(seed).integers(0, 256, (14, 12, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((178, 218), Image.Resampling.BICUBIC).save(folder / "img_align_celeba" / name)
    rows = [f"{name} {' '.join(f'{value:2d}' for value in row)}" for name, row in zip(NAMES, VALUES, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["12", HEADER, *rows, ""]))
    parts = [f"{name} {part}" for name, part in zip(NAMES, PARTS, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join([*parts, ""]))
    return folder.parent


def load(tree: Path, name: str = "celeba:Smiling", **settings):
    return load_data(name, DataSettings.parse({"data_dir": tree, "img_size": 24, **settings}))


def test_attributes_are_the_header_in_its_order():
    assert list(celeba.ATTRIBUTES) == HEADER.split()
    assert celeba.ATTRIBUTES[31] == "Smiling"
    assert celeba.ATTRIBUTES[18] == "Heavy_Makeup"  # which document 000 takes for Smiling


@pytest.mark.parametrize(("attribute", "column"), [("Smiling", 31), ("Heavy_Makeup", 18), ("Young", 39)])
def test_labels_and_parts_are_those_of_torchvisions_reader(tree, attribute, column):
    splits = load(tree, f"celeba:{attribute}")
    theirs = torchvision.datasets.CelebA.__new__(torchvision.datasets.CelebA)  # without its checksums
    theirs.root = str(tree)
    table = theirs._load_csv("list_attr_celeba.txt", header=1)
    parts = theirs._load_csv("list_eval_partition.txt")
    assert splits.classes == (f"no-{attribute}", attribute)
    assert splits.name == f"celeba:{attribute}"
    for number, (_, part) in enumerate(splits.parts().items()):
        chosen = (parts.data[:, 0] == number).nonzero()[:, 0].tolist()
        assert part.labels.tolist() == [int(table.data[place, column] == 1) for place in chosen]
        assert list(part.names) == [f"celeba/{table.index[place]}" for place in chosen]
    assert [len(part) for part in splits.parts().values()] == [6, 3, 3]
    assert splits.mirror_safe


def test_pictures_are_the_centre_178_resized_as_the_document_does(tree):
    splits = load(tree, img_size=64)
    document = Compose([CenterCrop(178), Resize(64)])
    for image, name in zip(splits.train.images, NAMES[:6], strict=True):
        theirs = np.asarray(document(Image.open(tree / "celeba" / "img_align_celeba" / name)))
        ours = image.permute(1, 2, 0).numpy()
        assert np.array_equal(ours[2:-2], theirs[2:-2])
        # at the cut, the document's resize repeats the last row, ours sees the next one of the picture
        assert np.abs(ours.astype(int) - theirs).max() < 30


def test_the_default_side_is_64_and_channels_are_obeyed(tree):
    assert load(tree, img_size=None).train.input_shape == (3, 64, 64)
    assert load(tree, channels=1).train.input_shape == (1, 24, 24)


def test_with_a_crop_the_whole_height_is_kept_and_the_centre_is_evaluated(tree):
    splits = load(tree, img_size=64, crop=64)
    assert splits.train.input_shape == (3, 78, 64)  # torchvision's Resize(64) of 218 × 178
    assert Resize(64)(Image.new("RGB", (178, 218))).size == (64, 78)
    spec = ImageSpec(
        channels=3, height=78, width=64, classes=splits.classes, mean=(0,) * 3, std=(1,) * 3, crop=(64, 64)
    )
    pixels = decode(tree / "celeba" / "img_align_celeba" / NAMES[0], spec)
    assert np.array_equal(pixels, splits.train.images[0, :, 7:71].permute(1, 2, 0).numpy())
    # and it is nearly what the document evaluates
    centred = load(tree, img_size=64).train.images[0].permute(1, 2, 0).numpy()
    assert np.abs(pixels.astype(int) - centred).mean() < 5


def test_the_zip_archive_is_read_as_it_is(tree):
    unpacked = load(tree)
    folder = tree / "celeba"
    shutil.make_archive(str(folder / "img_align_celeba"), "zip", folder, "img_align_celeba")
    shutil.rmtree(folder / "img_align_celeba")
    assert load(tree).fingerprint() == unpacked.fingerprint()
    archive = folder / "img_align_celeba.zip"
    content = bytearray(archive.read_bytes())
    content[200] ^= 0xFF  # within the first picture
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"1 of 12 pictures cannot be used"):
        load(tree)
    archive.write_bytes(content[:500])
    with pytest.raises(DataError, match="zip"):
        load(tree)


def test_first_limits_what_is_decoded_of_the_training_part(tree):
    folder = tree / "celeba" / "img_align_celeba"
    whole = load(tree)
    for name in NAMES[4:6]:
        (folder / name).write_bytes(b"damaged")  # decoding it would fail
    splits = open_data("celeba:Smiling", DataSettings(data_dir=tree, img_size=24, first=4), seed=0)
    assert torch.equal(splits.train.images, whole.train.images[:4])
    assert torch.equal(splits.val.images, whole.val.images)
    assert torch.equal(splits.test.images, whole.test.images)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("smiling", "Smiling"), ("Simling", "Smiling"), ("heavymakeup", "Heavy_Makeup"), ("EYEGLASES", "Eyeglasses")],
)
def test_a_mistyped_attribute_gets_the_nearest(tree, typed, meant):
    with pytest.raises(SettingsError) as caught:
        load(tree, f"celeba:{typed}")
    assert f"did you mean 'celeba:{meant}'?" in caught.value.fix


@pytest.mark.parametrize("name", ["celeba", "celeba:", "celeba: ", "celeba:zzzzzz"])
def test_without_a_known_attribute_all_are_listed_before_anything_is_read(tmp_path, name):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, name)
    assert all(attribute in caught.value.fix for attribute in HEADER.split())


def test_several_attributes_are_columns_of_the_table(tree):
    splits = load(tree, "celeba: Young, Smiling,Heavy_Makeup,Smiling")
    assert splits.classes == ("Young", "Smiling", "Heavy_Makeup")
    assert splits.name == "celeba:Young,Smiling,Heavy_Makeup"
    assert splits.multi_label
    for number, part in enumerate(splits.parts().values()):
        rows = np.array(PARTS) == number
        assert np.array_equal(part.labels.numpy(), VALUES[rows][:, [39, 31, 18]] == 1)
    single = load(tree)
    assert torch.equal(splits.train.images, single.train.images)
    assert torch.equal(splits.train.labels[:, 1].long(), single.train.labels)
    assert load(tree, "celeba:Smiling,Smiling").fingerprint() == single.fingerprint()


def test_of_several_attributes_each_is_looked_up(tree):
    with pytest.raises(SettingsError) as caught:
        load(tree, "celeba:Smiling,mael")
    assert "did you mean 'celeba:Male'?" in caught.value.fix
    with pytest.raises(SettingsError, match="classes are those of its attributes"):
        load(tree, "celeba:Smiling,,Male")


def test_a_skipped_picture_of_several_attributes_is_recorded_with_all_of_its_own(tree):
    (tree / "celeba" / "img_align_celeba" / NAMES[0]).write_bytes(b"damaged")
    record = load(tree, "celeba:Smiling,Heavy_Makeup", skip_bad=True).files[0]
    assert (record.path, record.class_name, record.status) == (f"celeba/{NAMES[0]}", "Smiling|Heavy_Makeup", "skipped")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


TABLE, PART_TABLE = "list_attr_celeba.txt", "list_eval_partition.txt"
DAMAGE = {
    "header-of-other-names": (TABLE, "Attractive", "Handsome", "second line"),
    "header-in-another-order": (TABLE, "Attractive Bags_Under_Eyes", "Bags_Under_Eyes Attractive", "second line"),
    "no-header": (TABLE, HEADER + "\n", "", "second line"),
    "no-count": (TABLE, "12\n", "", "second line"),
    "count-too-high": (TABLE, "12\n", "13\n", "'13'"),
    "count-no-number": (TABLE, "12\n", "twelve\n", "'twelve'"),
    "row-too-short": (TABLE, "000003.jpg  1", "000003.jpg", "line 5"),
    "row-missing-name": (TABLE, "000003.jpg ", "", "line 5"),
    "value-of-zero": (TABLE, "000002.jpg", "000002.jpg  0", "line 4"),
    "picture-twice": (TABLE, "000002.jpg", "000003.jpg", "11 pictures"),
    "empty-table": (TABLE, None, "", "second line"),
    "binary-table": (TABLE, None, b"\xff\xd8\x00\x10", "text"),
    "part-missing": (PART_TABLE, "000007.jpg 1\n", "", "000007.jpg"),
    "part-of-a-stranger": (PART_TABLE, "000012.jpg 2\n", "000012.jpg 2\n000013.jpg 0\n", "000013.jpg"),
    "part-twice": (PART_TABLE, "000012.jpg 2\n", "000012.jpg 2\n000012.jpg 2\n", "twice"),
    "part-of-three": (PART_TABLE, "000002.jpg 0", "000002.jpg 3", "line 2"),
    "part-without-number": (PART_TABLE, "000002.jpg 0", "000002.jpg", "line 2"),
    "empty-parts": (PART_TABLE, None, "", "12 pictures"),
    "no-training": (PART_TABLE, None, "".join(f"{name} 1\n" for name in NAMES), "training"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_tables_are_refused_by_name_with_the_remedy(tree, case):
    file, old, new, told = DAMAGE[case]
    path = tree / "celeba" / file
    if case in ("row-too-short", "row-missing-name"):  # the spaces depend on the values
        lines = path.read_text().splitlines()
        row = lines[4].split()
        lines[4] = " ".join(row[:-1] if case == "row-too-short" else row[1:])
        path.write_text("\n".join(lines))
    elif old is None:
        path.write_bytes(new if isinstance(new, bytes) else new.encode())
    else:
        edit(path, old, new)
    with pytest.raises(DataError) as caught:
        load(tree)
    assert caught.value.where == str(path)
    assert told in caught.value.what
    assert "fetch it again" in caught.value.fix


def test_missing_and_damaged_pictures_are_all_named_or_left_out_on_request(tree):
    folder = tree / "celeba" / "img_align_celeba"
    whole = load(tree)
    (folder / NAMES[1]).unlink()
    (folder / NAMES[7]).write_bytes((folder / NAMES[7]).read_bytes()[:300])
    with pytest.raises(DataError) as caught:
        load(tree)
    assert NAMES[1] in caught.value.what
    assert NAMES[7] in caught.value.what
    assert "not found" in caught.value.what
    assert str(tree / "celeba") in caught.value.fix
    assert "--skip-bad" in caught.value.fix
    rest = load(tree, skip_bad=True)
    assert torch.equal(rest.train.images, whole.train.images[[0, 2, 3, 4, 5]])
    assert rest.val.labels.tolist() == whole.val.labels[[0, 2]].tolist()
    assert [record.path for record in rest.files if record.status == "used"] == [
        name for part in rest.parts().values() for name in part.names
    ]
    assert [(record.path, record.part) for record in rest.files if record.status == "skipped"] == [
        (f"celeba/{NAMES[1]}", "train"),
        (f"celeba/{NAMES[7]}", "val"),
    ]
    assert "2 unreadable" in rest.notes[0]


def test_pictures_that_would_not_fit_into_memory_are_refused_before_decoding(tree, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 12 * 3 * 24 * 24 - 1)
    (tree / "celeba" / "img_align_celeba" / NAMES[0]).write_bytes(b"damaged")
    with pytest.raises(ResourceError, match="--first"):
        load(tree)


# Where it is not on this machine


def test_without_gdown_or_a_network_the_error_lists_the_files_that_help(tree, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    root = tmp_path / "elsewhere"
    with pytest.raises(ResourceError, match="gdown") as caught:
        load(root)
    listed = [Path(line.strip()) for line in caught.value.fix.splitlines()[1:]]
    shutil.make_archive(str(tree / "celeba" / "img_align_celeba"), "zip", tree / "celeba", "img_align_celeba")
    for path in listed:
        path.parent.mkdir(exist_ok=True)
        shutil.copy(tree / "celeba" / path.name, path)
    assert load(root).fingerprint() == load(tree).fingerprint()


def test_what_gdown_raises_is_our_error(tmp_path, monkeypatch):
    gdown = ModuleType("gdown")

    def refused(**_: object) -> None:
        raise type("FileURLRetrievalError", (Exception,), {})("Too many users have viewed or downloaded this file")

    gdown.download = refused
    monkeypatch.setitem(sys.modules, "gdown", gdown)
    monkeypatch.setattr(celeba, "find_celeba", lambda _: None)
    with pytest.raises(ResourceError, match="Too many users"):
        load(tmp_path / "data")


def test_fetching_decodes_nothing(tree, monkeypatch):
    monkeypatch.setattr(celeba, "decode_here", None)
    assert SOURCES["celeba"].fetch(tree) == SOURCES["celeba"].find(tree) == tree / "celeba"


def test_a_run_on_it_with_a_crop_measures_the_same_again(tree, tmp_path):
    import striate

    settings = TrainSettings(data_dir=tree, img_size=16, crop=16, epochs=1, device="cpu", precision="fp32")
    run = striate.train("celeba:Smiling", out=tmp_path / "runs", **settings.model_dump(exclude_unset=True))
    assert run.spec.picture_shape == (3, 19, 16)
    again = measure(run.path, data_dir=tree, device="cpu").result
    assert again.summary() == json.loads((run.path / "evaluation.json").read_bytes())["test"]
    named = measure(run.path, "celeba:Smiling", "test", tree, device="cpu").result
    assert named.summary() == again.summary()
    prediction = striate.load(run.path, device="cpu").predict(tree / "celeba" / "img_align_celeba" / NAMES[9])[0]
    assert prediction.probability == pytest.approx(float(again.probabilities[0].max()), abs=1e-5)

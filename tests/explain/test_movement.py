"""How filters and hidden layer moved: projections, neighbours and distances against NumPy and scikit-learn."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from striate.explain.hidden_movement import embedding_gif, embedding_strip, neighbour_share, project
from striate.explain.movement import filter_distance, filter_strip, movement_plates
from striate.runs.snapshots import Moment, Snapshots


def snapshots(
    moments: int = 4, channels: int = 1, classes: int = 3, count: int = 30, multi_label: bool = False, width: int = 7
) -> Snapshots:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    if multi_label:
        labels = torch.rand(count, classes, generator=generator) < 0.4
    centres = torch.randn(classes, width, generator=generator)
    kept = {}
    for number in range(moments):
        own = centres[labels] if labels.ndim == 1 else labels.float() @ centres
        features = number * own + torch.randn(count, width, generator=generator)
        kept[2 * number] = Moment(
            torch.randn(12, channels, 4, 4, generator=generator).half() * (number + 1), features.half()
        )
    return Snapshots("val", torch.arange(count), labels, kept, kept.pop(2 * moments - 2))


def test_the_projection_is_that_of_scikit_learn_fitted_to_the_last() -> None:
    features = [moment.features.float() for moment in snapshots().named().values()]
    pca = PCA(2).fit(features[-1].double().numpy())
    for ours, values in zip(project(features), features, strict=True):
        theirs = pca.transform(values.double().numpy())
        np.testing.assert_allclose(ours * np.sign((ours * theirs).sum(0)), theirs, atol=1e-6)


def test_one_dimension_and_one_picture_can_be_projected() -> None:
    assert project([torch.zeros(5, 1), torch.arange(5.0)[:, None]])[1].shape == (5, 2)
    assert project([torch.ones(1, 8)] * 2)[0].shape == (1, 2)


def test_the_share_of_neighbours_is_that_of_scikit_learn() -> None:
    last = snapshots().end
    assert last is not None
    features, labels = last.features.float(), snapshots().labels
    finder = NearestNeighbors(n_neighbors=5).fit(features.numpy())
    nearest = finder.kneighbors(return_distance=False)
    wanted = (labels.numpy()[nearest] == labels.numpy()[:, None]).mean()
    assert neighbour_share(features, labels) == pytest.approx(wanted)
    sets = torch.nn.functional.one_hot(labels).bool()
    assert neighbour_share(features, sets) == pytest.approx(wanted)
    assert neighbour_share(torch.zeros(3, 2), torch.tensor([0, 0, 1]), count=9) == pytest.approx(1 / 3)


def test_distances_are_relative_to_the_first_filters() -> None:
    first, second = torch.ones(2, 1, 2, 2).half(), torch.full((2, 1, 2, 2), 3.0).half()
    features = torch.zeros(4, 3).half()
    kept = Snapshots(
        "val", torch.arange(4), torch.zeros(4).long(), {0: Moment(first, features)}, Moment(second, features)
    )
    assert filter_distance(kept) == [0.0, pytest.approx(2.0)]


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_a_strip_has_a_row_per_filter_and_a_column_per_moment(channels: int) -> None:
    figure = filter_strip(snapshots(moments=4, channels=channels), count=6)
    assert len(figure.axes) == 6 * 4
    assert [axis.get_title() for axis in figure.axes[:4]] == ["start", "2", "4", "end"]
    biggest = [np.abs(axis.images[0].get_array() - (0.5 if channels == 3 else 0)).max() for axis in figure.axes]
    assert max(biggest) <= (0.5 if channels == 3 else 1) + 1e-6


@pytest.mark.parametrize("classes", [2, 10, 40])
def test_every_picture_is_in_every_panel(classes: int) -> None:
    kept = snapshots(moments=9, classes=classes, count=80)
    names = ["_$first$", *("n" * number for number in range(1, classes))]
    figure = embedding_strip(kept, names)
    assert len(figure.axes) == 6
    for axis in figure.axes:
        drawn = [len(points.get_offsets()) for points in axis.collections]
        assert sum(drawn) == 80
        assert len(drawn) == min(classes, 25)
    assert figure.axes[0].get_title().startswith("start")
    assert figure.axes[5].get_title().startswith("end")
    assert figure.legends[0].get_texts()[0].get_text() == "_$first$"


def test_panels_share_their_axes_and_what_is_too_close_is_enlarged() -> None:
    kept = snapshots(moments=3)
    small = Moment(kept.moments[0].filters, kept.moments[0].features / 200)
    figure = embedding_strip(
        Snapshots("val", kept.pictures, kept.labels, {0: small, 2: kept.moments[2]}, kept.end), list("abc")
    )
    panels = figure.axes[:3]
    assert len({axis.get_xlim() for axis in panels}) == len({axis.get_ylim() for axis in panels}) == 1
    assert [len(axis.child_axes) for axis in panels] == [1, 0, 0]


@pytest.mark.parametrize(("moments", "classes"), [(2, 3), (2, 24), (6, 10), (4, 40)])
def test_names_of_any_length_stay_on_the_sheet_and_apart(moments: int, classes: int) -> None:
    figure = embedding_strip(snapshots(moments=moments, classes=classes, count=120), ["W" * 60] * classes)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    legend = figure.legends[0].get_window_extent(renderer)
    assert figure.bbox.x0 <= legend.x0
    assert legend.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= legend.y0
    boxes = [text.get_window_extent(renderer) for text in figure.legends[0].get_texts()]
    boxes += [axis.get_window_extent(renderer) for axis in figure.axes]
    boxes += [axis.title.get_window_extent(renderer) for axis in figure.axes]
    assert not any(one.padded(-1).overlaps(other.padded(-1)) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_moving_picture_runs_through_all_moments(multi_label: bool) -> None:
    data = embedding_gif(snapshots(moments=3, multi_label=multi_label), list("abc"))
    with Image.open(io.BytesIO(data)) as picture:
        shown = sum(1 for _ in range(picture.n_frames))
        assert picture.format == "GIF"
        assert picture.info["loop"] == 0
    # equal frames at the end may be joined; two ways of five steps, and where they lead
    assert 11 <= shown <= 21


def test_filters_that_were_not_trained_have_no_strip() -> None:
    kept = snapshots(moments=2)
    still = Snapshots(
        "val", kept.pictures, kept.labels, kept.moments, Moment(kept.moments[0].filters, kept.end.features)
    )
    moved = movement_plates(still, list("abc"), "quick")
    assert [plate.name for plate in moved.plates] == ["learning-embedding"]
    assert moved.files == {}
    assert "have not moved" in moved.text[0]
    full = movement_plates(kept, list("abc"), "full")
    assert [plate.name for plate in full.plates] == ["learning-filters", "learning-embedding"]
    assert list(full.files) == ["learning-embedding.gif"]


def test_of_few_pictures_no_share_of_neighbours_is_told() -> None:
    few, enough = (movement_plates(snapshots(count=count), list("abc"), "quick") for count in (12, 60))
    for moved, told in ((few, False), (enough, True)):
        plate = moved.plates[-1]
        assert ("%" in plate.figure.axes[0].get_title()) == told
        assert ("%" in plate.alt) == told
        assert any("nearest neighbours" in text for text in moved.text) == told

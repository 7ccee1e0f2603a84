"""The embedding: maps, neighbours and separation against NumPy and scikit-learn, and clusters that were planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA
from sklearn.manifold._t_sne import _joint_probabilities
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torch import Tensor

from striate.core.errors import DataError, SettingsError
from striate.evaluation.metrics import wilson_interval
from striate.explain.embedding import (
    exact,
    knn_accuracy,
    label_groups,
    nearest,
    nearest_others,
    principal_components,
    projection,
    separation,
    silhouettes,
    styles,
    t_sne,
    umap,
)
from striate.explain.embedding.neighbours import Neighbours, votes


def values(count: int = 40, size: int = 12, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def planted(each: int = 12, kinds: int = 3, size: int = 20) -> tuple[Tensor, Tensor]:
    """Return tight clusters round directions at right angles, and which each row is of."""
    groups = torch.arange(kinds).repeat(each)
    return 5 * torch.eye(size)[groups] + 0.2 * values(each * kinds, size), groups


@pytest.mark.parametrize(("count", "size"), [(40, 12), (12, 40), (30, 30)])
def test_principal_components_are_scikit_learns(count, size):
    data = values(count, size) * torch.linspace(0.1, 3, size)
    ours, theirs = principal_components(data, 3), PCA(3, svd_solver="full").fit(data.double().numpy())
    np.testing.assert_allclose(ours.shares, theirs.explained_variance_ratio_, rtol=1e-9)
    # its rule for signs is ours: the largest weight of each direction is positive
    np.testing.assert_allclose(ours.points.numpy(), theirs.transform(data.double().numpy()), atol=1e-5)


def test_components_that_do_not_exist_are_zeros():
    assert principal_components(values(1), 2).points.tolist() == [[0, 0]]
    two = principal_components(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), 3)
    torch.testing.assert_close(two.points, torch.tensor([[-2.5, 0, 0], [2.5, 0, 0]], dtype=torch.float64))
    assert two.shares.tolist() == pytest.approx([1, 0, 0])


def test_neighbours_are_scikit_learns_by_cosine():
    queries, bank = values(9, 6, 1), values(50, 6, 2)
    found = nearest(queries, bank, 7)
    distances, numbers = NearestNeighbors(metric="cosine").fit(bank.numpy()).kneighbors(queries.numpy(), 7)
    assert found.numbers.tolist() == numbers.tolist()
    np.testing.assert_allclose(1 - found.similarity, distances, atol=1e-6)


def test_others_leave_each_row_itself_out(monkeypatch):
    bank = values(30, 6)
    expected = NearestNeighbors(metric="cosine").fit(bank.numpy()).kneighbors(n_neighbors=4)[1]
    assert nearest_others(bank, 4).numbers.tolist() == expected.tolist()
    monkeypatch.setattr("striate.explain.embedding.neighbours._PAIRS", 70)  # two rows at a time
    assert nearest_others(bank, 4).numbers.tolist() == expected.tolist()
    assert nearest_others(bank, 99).numbers.shape == (30, 29)


def test_a_copy_is_the_nearest_neighbour_whatever_its_length():
    bank = values(20, 5)
    found = nearest(7 * bank[[13, 4]], bank, 1)
    assert found.numbers.tolist() == [[13], [4]]
    torch.testing.assert_close(found.similarity, torch.ones(2, 1))


def test_without_another_picture_there_is_no_neighbour():
    with pytest.raises(DataError, match="no picture to compare with"):
        nearest_others(values(1))
    with pytest.raises(DataError, match="one picture has no neighbours"):
        separation(values(1), torch.tensor([0]), 2)


def test_the_majority_votes_and_the_nearest_breaks_a_tie():
    groups = torch.tensor([0, 1, 2, 1, 2])
    near = Neighbours(torch.tensor([[2, 1, 3, 4], [0, 1, 2, 3], [4, 1, 3, 2]]), torch.zeros(3, 4))
    assert votes(near, groups, 3).tolist() == [2, 1, 2]  # 2112: a tie, 2 lies nearest; 0121; 2112


@given(st.integers(3, 30), st.integers(1, 4), st.integers(0, 99))
def test_silhouettes_are_scikit_learns(count, kinds, seed):
    data = values(count, 5, seed)
    groups = torch.randint(0, kinds, (count,), generator=torch.Generator().manual_seed(seed))
    ours = silhouettes(data, groups, kinds + 1)  # a group without pictures changes nothing
    there = len(groups.unique())
    if not 2 <= there <= count - 1:
        assert there > 1 or ours is None
        return
    assert ours is not None
    np.testing.assert_allclose(
        ours, silhouette_samples(data.double().numpy(), groups.numpy(), metric="cosine"), atol=1e-9
    )


def test_planted_clusters_are_wholly_apart_and_noise_is_not():
    data, groups = planted()
    found = separation(data, groups, 3)
    assert (found.same_share, found.knn_accuracy) == (1, 1)
    assert found.knn_interval == wilson_interval(36, 36)
    assert found.silhouette is not None
    assert found.silhouette > 0.9
    assert found.chance == pytest.approx(11 / 35)
    noise = separation(values(300, 20), torch.arange(300) % 3, 3)
    assert noise.same_share == pytest.approx(noise.chance, abs=0.05)
    assert noise.silhouette == pytest.approx(0, abs=0.02)


def test_separation_counts_neighbours_as_a_loop_does():
    data, groups = values(25, 4), torch.arange(25) % 4
    found = separation(data, groups, 5, neighbours=6)
    near = NearestNeighbors(metric="cosine").fit(data.numpy()).kneighbors(n_neighbors=6)[1]
    shares = np.array([(groups.numpy()[row] == groups[number].item()).mean() for number, row in enumerate(near)])
    assert found.same_share == pytest.approx(shares.mean())
    by_class = [shares[groups.numpy() == group].mean() for group in range(4)]
    np.testing.assert_allclose(found.group_share, [*by_class, np.nan])


def test_training_neighbours_name_classes_as_scikit_learns_do():
    (bank, bank_groups), (queries, groups) = planted(15), (values(40, 20, 5), torch.arange(40) % 3)
    theirs = KNeighborsClassifier(5, metric="cosine").fit(bank.numpy(), bank_groups.numpy())
    expected = int((theirs.predict(queries.numpy()) == groups.numpy()).sum())  # an odd number of three kinds can tie
    share, interval = knn_accuracy(queries, groups, bank, bank_groups, 5)
    ties = sum(
        sorted(np.bincount(bank_groups.numpy()[row], minlength=3))[1:] == [2, 2]
        for row in theirs.kneighbors(queries.numpy())[1]
    )
    assert abs(share * 40 - expected) <= ties
    assert interval == wilson_interval(round(share * 40), 40)


def test_sets_of_classes_are_groups_the_most_frequent_first():
    labels = torch.tensor([[0, 0], [1, 1], [1, 0], [1, 1]]).bool()
    groups, names = label_groups(labels, ("a", "b"))
    assert [names[group] for group in groups.tolist()] == ["(none)", "a|b", "a", "a|b"]
    assert names[0] == "a|b"
    single, same = label_groups(torch.tensor([1, 0]), ("a", "b"))
    assert (single.tolist(), same) == ([1, 0], ("a", "b"))


def divergence(values: Tensor, points: Tensor, perplexity: float) -> float:
    """Return the divergence of a map by scikit-learn's own probabilities."""
    distances = squareform(pdist(values.double().numpy(), "sqeuclidean")).astype(np.float32)
    wanted = squareform(_joint_probabilities(distances, perplexity, False))
    closeness = 1 / (1 + squareform(pdist(points.numpy(), "sqeuclidean")))
    np.fill_diagonal(closeness, 0)
    found = closeness / closeness.sum()
    there = wanted > 0
    return float((wanted[there] * np.log(wanted[there] / found[there])).sum())


def test_probabilities_of_pairs_are_scikit_learns():
    data = values(40, 6)
    distances = squareform(pdist(data.double().numpy(), "sqeuclidean")).astype(np.float32)
    expected = squareform(_joint_probabilities(distances, 9.0, False))
    np.testing.assert_allclose(exact.joint_probabilities(data.double().numpy(), 9.0), expected, rtol=1e-3, atol=1e-7)


def test_the_gradient_is_that_of_the_divergence():
    attraction = torch.from_numpy(exact.joint_probabilities(values(15, 6).double().numpy(), 4.0))
    places = values(15, 2, 3).double().requires_grad_()
    others = ~torch.eye(15, dtype=torch.bool)
    closeness = (1 / (1 + (places[:, None] - places).square().sum(2)))[others]
    wanted = attraction[others]
    (wanted * (wanted / (closeness / closeness.sum())).log()).sum().backward()
    assert places.grad is not None
    np.testing.assert_allclose(
        exact.gradient(places.detach().numpy(), attraction.numpy()), places.grad.numpy(), atol=1e-7
    )


def test_a_map_of_few_is_as_good_as_scikit_learns(monkeypatch):
    data = values(150, 10)
    units = torch.nn.functional.normalize(data, dim=1)
    ours = t_sne(data, iterations=500)
    monkeypatch.setattr(projection, "EXACT", 0)
    theirs = t_sne(data, iterations=500)
    assert divergence(units, ours, 30.0) == pytest.approx(divergence(units, theirs, 30.0), rel=0.05)


def test_t_sne_keeps_planted_clusters_together_and_is_the_same_each_time():
    data, groups = planted(15)
    points = t_sne(data, iterations=300)
    assert points.equal(t_sne(data, iterations=300))
    near = NearestNeighbors().fit(points.numpy()).kneighbors(n_neighbors=5)[1]
    assert (groups.numpy()[near] == groups.numpy()[:, None]).all()


def test_t_sne_of_equal_pictures_is_one_place():
    assert t_sne(torch.ones(10, 4)).unique().tolist() == [0]


def test_t_sne_says_what_it_cannot_do():
    with pytest.raises(SettingsError, match="8 pictures or more, not 7"):
        t_sne(values(7))
    with pytest.raises(SettingsError, match="perplexity 12"):
        t_sne(values(12), perplexity=12)


def test_umap_is_refused_by_name_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="UMAP is not installed") as caught:
        umap(values())
    assert "umap-learn" in str(caught.value.fix)


def test_styles_of_few_groups_differ_in_colour_and_of_many_in_colour_or_mark():
    data, groups = values(60, 8), torch.arange(60) % 30
    assert len({style.colour for style in styles(data, groups % 6, 6)}) == 6
    many = styles(data, groups, 30)
    assert len({(style.colour, style.mark) for style in many}) == 30


def test_groups_that_share_a_colour_are_unlike():
    centres = torch.cat([torch.eye(6), -torch.eye(6)[[1, 0, 3, 2, 5, 4]]])  # 6 is the opposite of 1, 7 that of 0, …
    chosen = styles(centres, torch.arange(12), 12)
    alike = centres @ centres.T
    pairs = [(a, b) for a in range(12) for b in range(a) if chosen[a].colour == chosen[b].colour]
    assert len(pairs) == 6
    assert all(alike[a, b] <= 0 for a, b in pairs)

import numpy as np
import pytest

from ml4szeq import agreement


def test_the_same_ranking():
    found = agreement.agreement(np.arange(20.0), np.arange(20.0) ** 3)
    assert found == pytest.approx({"spearman": 1.0, "kendall": 1.0, "jaccard": 1.0, "rbo": 1.0})


def test_the_opposite_ranking():
    found = agreement.agreement(np.arange(20.0), -np.arange(20.0))
    assert found == pytest.approx({"spearman": -1.0, "kendall": -1.0, "jaccard": 0.0, "rbo": 0.0})


def test_correlations_by_their_definitions():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 15))
    gap = np.argsort(np.argsort(a)) - np.argsort(np.argsort(b))
    pairs = [(i, j) for i in range(15) for j in range(i)]
    kendall = np.mean([np.sign((a[i] - a[j]) * (b[i] - b[j])) for i, j in pairs])
    found = agreement.agreement(a, b, top=5)
    assert found["spearman"] == pytest.approx(1 - 6 * (gap**2).sum() / (15 * (15**2 - 1)), rel=1e-9)
    assert found["kendall"] == pytest.approx(kendall, rel=1e-9)


def test_jaccard_of_the_top():
    a, b = np.array([9.0, 8.0, 7.0, 1.0, 0.0]), np.array([9.0, 8.0, 0.0, 7.0, 1.0])
    assert agreement.agreement(a, b, top=3)["jaccard"] == pytest.approx(2 / 4)
    assert agreement.agreement(a, b, top=2)["jaccard"] == 1.0


def test_rank_biased_overlap_by_hand():
    """Of abc and acb at p = .5: X/d = 1, 1/2, 1; 1/8 + (1/2 + 1/8 + 1/8)."""
    assert agreement.rank_biased_overlap([0, 1, 2], [0, 2, 1], 0.5) == pytest.approx(0.875, rel=1e-12)
    assert agreement.rank_biased_overlap([0, 1], [2, 3], 0.9) == 0.0
    top = agreement.rank_biased_overlap([0, 1, 2, 3], [0, 1, 5, 6])
    tail = agreement.rank_biased_overlap([0, 1, 2, 3], [5, 6, 2, 3])
    assert top > tail


def test_an_importance_without_differences():
    found = agreement.agreement(np.zeros(5), np.arange(5.0), top=2)
    assert np.isnan(found["spearman"]) and np.isnan(found["kendall"])


def test_bad_arguments():
    with pytest.raises(ValueError, match="shapes"):
        agreement.agreement(np.zeros(3), np.zeros(4), top=2)
    for top in (0, 4):
        with pytest.raises(ValueError, match=f"the top {top} of 3 features"):
            agreement.agreement(np.zeros(3), np.zeros(3), top=top)


def test_pairs_are_all_pairs():
    table = agreement.pairs({"a": np.arange(12.0), "b": -np.arange(12.0), "c": np.arange(12.0)}, top=3)
    assert table[["first", "second"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    np.testing.assert_allclose(table["spearman"], [-1.0, 1.0, -1.0], rtol=1e-12)


def test_between_methods_draws_the_same_groups_for_both():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 12)) * np.arange(1, 13)
    given = {"lrp": values, "integrated_gradients": values * 2.0, "other": rng.normal(size=(60, 12))}
    table = agreement.between_methods(given, np.arange(60) // 3, rng, top=5, draws=50)
    same, other = table.iloc[0], table.iloc[1]
    assert same["spearman_low"] == same["spearman_high"] == pytest.approx(1.0)
    assert other["spearman_low"] < other["spearman"] < other["spearman_high"]
    assert other["spearman_high"] - other["spearman_low"] > 0.05


def test_between_methods_of_one_feature():
    values = np.random.default_rng(0).normal(size=(20, 1))
    given = {"lrp": values, "permutation": values}
    table = agreement.between_methods(given, np.arange(20), np.random.default_rng(0), top=1, draws=20)
    assert np.isnan(table["spearman_low"].iloc[0]) and table["jaccard_low"].iloc[0] == 1.0


def test_within_and_across_and_chance():
    rng = np.random.default_rng(0)
    truth = np.arange(40.0)
    near, noise = truth + rng.normal(0, 2, (5, 40)), rng.normal(size=(5, 40))
    close, floor = agreement.within(near), agreement.within(noise)
    assert close["pairs"] == floor["pairs"] == 10 and agreement.across(near, noise)["pairs"] == 25
    assert close["spearman_low"] > 0.9 > floor["spearman_high"]
    assert abs(agreement.across(near, noise)["spearman"]) < 0.3
    by_chance = agreement.chance(40, rng, draws=400)
    assert abs(by_chance["spearman"]) < 0.03
    # two of ten among 40: 2.5 features in common on average
    assert by_chance["jaccard"] == pytest.approx(2.5 / 17.5, abs=0.02)
    assert np.isnan(agreement.within(near[:1])["spearman"])


def test_recovery():
    names = ["a", "b", "c", "d", "e"]
    table, area = agreement.recovery(np.array([5.0, 4.0, 3.0, 2.0, 1.0]), names, ["d", "a", "unknown"])
    assert table.to_numpy().tolist() == [["a", 1], ["d", 4]]
    assert area == pytest.approx(4 / 6)  # a is above b, c, e; d above e
    assert agreement.recovery(np.arange(5.0), names, ["d", "e"])[1] == 1.0
    assert np.isnan(agreement.recovery(np.arange(5.0), names, [])[1])


def test_shuffled_ruptures_keep_their_lengths():
    groups = np.array([0, 0, 0, 1, 2, 2, 3, 4, 5, 5])
    labels = np.array([7.0, 7.0, 7.0, 1.0, 9.0, 9.0, 6.0, 5.0, 8.0, 8.0])
    found = [agreement.shuffled_labels(labels, groups, np.random.default_rng(seed)) for seed in range(5)]
    for each in found:
        assert sorted(each) == sorted(labels)  # every label as often as before
        assert (np.diff(each) != 0).sum() == 5  # and in one piece
    assert len({tuple(each) for each in found}) > 1


def test_control_fits_shuffled_labels():
    seen = []

    def fit(labels: np.ndarray) -> np.ndarray:
        seen.append(labels)
        return labels[:3]

    labels = np.arange(30.0)
    found = agreement.control(fit, labels, np.arange(30), np.random.default_rng(0), 4)
    assert found.shape == (4, 3)
    assert all(sorted(each) == sorted(labels) and not np.array_equal(each, labels) for each in seen)

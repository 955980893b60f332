import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from ml4szeq import explanation, lrp, relevance, training
from ml4szeq.config import Recipe
from ml4szeq.explanation import REGION, Asked, Part
from ml4szeq.segments import Segments
from shared.command import InputError

TINY = Recipe(hidden=(8,), epochs=8, members=2, batch=16, learning_rate=0.02)
NAMES = ("AGE", "V_TN", "DXT_200", "MINE")


def made_segments(labels: bool = True, seed: int = 0) -> Segments:
    """Two trenches of 40 segments; AGE, which is smooth along them, decides which are great."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"region": np.repeat(["ryu", "sam"], 40), "segment": np.tile(np.arange(40), 2)})
    table["along_km"] = table["segment"] * 50.0
    for name in NAMES:
        table[name] = rng.normal(size=80)
    table["AGE"] = 60.0 + 20.0 * np.sin(np.arange(80) / 3.0) + rng.normal(size=80)
    table["MR_GCMT"] = np.where(table["AGE"] > 60.0, 8.5, 7.0) + np.round(rng.random(80) * 0.4, 2) if labels else np.nan
    return Segments(table, NAMES, (), "digest", True)


def halves(segments: Segments, recipe: Recipe = TINY) -> list[Part]:
    """Two ensembles, each of which explains the half that it has not seen."""
    rows = np.arange(80) % 40 < 20
    parts = [(rows, ~rows), (~rows, rows)]
    return [
        Part(training.fitted(segments, np.flatnonzero(seen), recipe, 0), np.flatnonzero(new)) for seen, new in parts
    ]


@pytest.fixture(scope="module")
def segments() -> Segments:
    return made_segments()


@pytest.fixture(scope="module")
def parts(segments: Segments) -> list[Part]:
    return halves(segments)


def explained(parts: list[Part], segments: Segments, **asked) -> explanation.Explanation:
    return explanation.explain(parts, segments, Asked(**{"repeats": 2, **asked}), np.random.default_rng(0))


def test_the_feature_that_decides_is_first(parts: list[Part], segments: Segments):
    made = explained(parts, segments)
    assert set(made.found.values) == set(relevance.METHODS)
    for method in relevance.METHODS:
        assert made.found.names[np.argmax(made.found.importance(method))] == "AGE"
    assert (made.by_member.argmax(axis=1) == 0).all() and (made.by_part.argmax(axis=1) == 0).all()
    assert made.by_member.shape == (2, 4) and made.by_part.shape == (2, 4)
    assert made.by_group.set_index("group")["log_loss"].idxmax() == "physical state"
    assert made.by_group["features"].to_list() == [1, 1, 1, 1]


def test_each_segment_by_the_ensemble_that_has_not_seen_it(parts: list[Part], segments: Segments):
    made = explained(parts, segments, rule="gamma")
    for part in parts:
        inputs = part.classifier.inputs(segments.table)[part.rows]
        chains = [lrp.contrasted(each.chain()) for each in part.classifier.members]
        expected = np.mean([lrp.relevance(chain, inputs, 1, "gamma") for chain in chains], axis=0)
        np.testing.assert_allclose(made.found.values["lrp"][part.rows], expected, rtol=1e-9, atol=1e-12)
        said = part.classifier.probabilities(segments.table)[part.rows].argmax(axis=1)
        np.testing.assert_array_equal(made.found.predicted[part.rows], said)
    pd.testing.assert_frame_equal(made.found.places[["region", "segment"]], segments.table[["region", "segment"]])
    np.testing.assert_array_equal(made.found.observed, segments.magnitude >= 8.0)


@pytest.mark.parametrize("target", ["predicted", "observed", "below_8"])
def test_targets(target: str, parts: list[Part], segments: Segments):
    made = explained(parts, segments, target=target)
    classes = {"predicted": made.found.predicted, "observed": made.found.observed, "below_8": np.zeros(80, dtype=int)}
    np.testing.assert_array_equal(made.found.explained, classes[target])
    highest = explained(parts, segments).found.values["lrp"]
    sign = np.where(made.found.explained == 1, 1.0, -1.0)[:, None]  # margins of two classes
    np.testing.assert_allclose(made.found.values["lrp"], sign * highest, rtol=1e-6, atol=1e-9)


def test_logits_are_not_margins(parts: list[Part], segments: Segments):
    logits = explained(parts, segments, explains="logit").found.values["lrp"]
    assert np.abs(logits - explained(parts, segments).found.values["lrp"]).max() > 0.01


def test_rescaled_by_segment(parts: list[Part], segments: Segments):
    made = explained(parts, segments, normalise="sum")
    np.testing.assert_allclose(np.abs(made.found.values["lrp"]).sum(axis=1), 1.0, rtol=1e-9)
    np.testing.assert_allclose(made.by_member.sum(axis=1), 1.0, rtol=1e-9)
    np.testing.assert_allclose(made.by_part.sum(axis=1), 1.0, rtol=1e-9)


def test_conservation_of_every_rule(parts: list[Part], segments: Segments):
    made = explained(parts, segments)
    table = made.conservation.set_index("rule")
    assert list(table.index) == list(lrp.RULES)
    assert (table["missing_without_biases"] < 1e-6).all()
    assert table.loc["epsilon", "missing"] > 0.001
    assert 0.0 <= made.completeness < 0.05


def test_columns_made_of_a_feature_count_towards_it(segments: Segments):
    recipe = dataclasses.replace(TINY, relative=True, smooth=100.0, region_mean=True, embedding=2, neighbours=True)
    parts = halves(segments, recipe)
    made = explained(parts, segments)
    assert made.found.names == (*NAMES, REGION)
    part = parts[0]
    columns = explanation.columns_of(part.classifier)
    assert columns["AGE"] == [0, 4, 8, 12] and columns[REGION] == [16, 17]
    given = part.classifier.inputs(segments.table)[part.rows]
    region = part.classifier.region_numbers(segments.table)[part.rows]
    each = [
        lrp.relevance(lrp.contrasted(m.chain()), m.joined(given, region).detach(), 1) for m in part.classifier.members
    ]
    expected = np.mean(each, axis=0)
    np.testing.assert_allclose(
        made.found.values["lrp"][part.rows][:, 0], expected[:, columns["AGE"]].sum(axis=1), rtol=1e-9, atol=1e-12
    )
    assert made.found.values["permutation"].shape == (80, 5)
    assert made.found.names[made.found.importance("lrp").argmax()] == "AGE"


def test_permutation_starts_from_what_the_ensemble_says(segments: Segments):
    """With nothing permuted the probabilities are the classifier's own, with regions and neighbours."""
    recipe = dataclasses.replace(TINY, embedding=2, neighbours=True)
    part = halves(segments, recipe)[0]
    work = explanation._Work(part, segments, np.zeros(80, dtype=int), Asked())
    inputs = np.column_stack([work.inputs.numpy(), work.region.numpy()])
    found = work.probabilities(inputs, np.arange(len(part.rows)))
    np.testing.assert_allclose(found, part.classifier.probabilities(segments.table)[part.rows], rtol=1e-5, atol=1e-7)


def test_a_magnitude(segments: Segments):
    parts = halves(segments, dataclasses.replace(TINY, task="both", batch_norm=True))
    made = explained(parts, segments, target="magnitude")
    assert (made.found.explained == -1).all() and set(made.found.values) == {"lrp", "integrated_gradients"}
    assert made.found.names[made.found.importance("lrp").argmax()] == "AGE"
    part = parts[1]
    given = part.classifier.inputs(segments.table)[part.rows]
    expected = np.mean([lrp.relevance(m.chain("regress"), given, 0) for m in part.classifier.members], axis=0)
    np.testing.assert_allclose(made.found.values["lrp"][part.rows], expected, rtol=1e-9, atol=1e-12)
    assert explanation.explained_names(made.found) == "magnitude"


def test_three_classes(segments: Segments):
    made = explained(halves(segments, dataclasses.replace(TINY, classes=3)), segments, target="8.3_up")
    assert (made.found.explained == 2).all() and made.found.edges == (6.4, 8.3)


def test_without_labels(parts: list[Part]):
    unlabelled = made_segments(labels=False)
    made = explained(parts, unlabelled)
    assert set(made.found.values) == {"lrp", "integrated_gradients"} and made.by_group.empty
    assert (made.found.observed == -1).all()
    with pytest.raises(InputError, match="no segment has a label; use --target predicted"):
        explained(parts, unlabelled, target="observed")


def test_segments_without_a_label_are_left_out_of_observed(parts: list[Part], segments: Segments):
    table = segments.table.copy()
    table.loc[[3, 60], "MR_GCMT"] = np.nan
    made = explained(parts, dataclasses.replace(segments, table=table), target="observed")
    assert len(made.found.places) == 78 and (made.found.observed >= 0).all()
    assert not ((made.found.places["region"] == "ryu") & (made.found.places["segment"] == 3)).any()


@pytest.mark.parametrize(
    ("task", "target", "said"),
    [
        ("classification", "biggest", "--target biggest: is not one of predicted, .*, below_8, 8_up"),
        ("classification", "magnitude", "classes only; train with --task both"),
        ("regression", "highest", "magnitudes only; use --target magnitude"),
    ],
)
def test_targets_that_are_refused(task: str, target: str, said: str, segments: Segments):
    recipe = dataclasses.replace(TINY, task=task, epochs=1)
    classifier = training.fitted(segments, np.arange(80), recipe, 0)
    with pytest.raises(InputError, match=said):
        explanation.check_target(classifier, target)


def test_parts_of(parts: list[Part], segments: Segments):
    classifiers = [
        dataclasses.replace(
            parts[0].classifier, held_out=(("sam", 3), ("ryu", 7), ("cam", 1))
        ),
        dataclasses.replace(parts[1].classifier, held_out=(("sam", 3), ("sam", 4))),
    ]  # fmt: skip
    found = explanation.parts_of(classifiers, segments.table, "here")
    assert [each.rows.tolist() for each in found] == [[7, 43], [44]]
    with pytest.raises(InputError, match="here: none of its segments was held out; use --networks final"):
        explanation.parts_of([parts[0].classifier], segments.table, "here")


def test_the_models_are_left_alone(parts: list[Part], segments: Segments):
    member = parts[0].classifier.members[0]
    before = {name: value.clone() for name, value in member.state_dict().items()}
    explained(parts, segments)
    assert all(torch.equal(before[name], value) for name, value in member.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in member.modules())
    assert all(isinstance(module, nn.Module) and not module.training for module in member.modules())


def test_agreement_table(parts: list[Part], segments: Segments):
    made = explained(parts, segments)
    rng = np.random.default_rng(0)
    control = rng.random((3, 4))
    table = explanation.agreement_table(made, control, made.by_part[0], 2, rng)
    assert table["comparison"].to_list() == [
        "lrp and integrated_gradients",
        "lrp and permutation",
        "integrated_gradients and permutation",
        "networks of other seeds",
        "ensembles of other splits",
        "networks that learnt shuffled labels",
        "these and the final network",
        "rankings at random",
    ]
    assert table["pairs"].to_list() == [1, 1, 1, 1, 1, 3, 3, 1000]
    without = explanation.agreement_table(made, control[:0], made.by_part[0], 99, rng)
    assert len(without) == 6


def test_networks_that_are_given_means_alone(segments: Segments):
    """Without the features themselves; what stands for a feature's value is its mean along the trench."""
    parts = halves(segments, dataclasses.replace(TINY, plain=False, smooth=60.0))
    made = explained(parts, segments)
    assert made.found.names == NAMES and made.found.inputs.shape == (80, 4)
    rows = parts[0].rows
    np.testing.assert_allclose(
        made.found.inputs[rows], parts[0].classifier.inputs(segments.table)[rows].numpy(), rtol=1e-5, atol=1e-6
    )
    assert made.found.names[made.found.importance("lrp").argmax()] == "AGE"


def test_a_feature_that_networks_are_not_given(segments: Segments):
    """It keeps its place and its values, and has no relevance by any method."""
    parts = halves(segments, dataclasses.replace(TINY, average=60.0, consistent=True))
    left_out = [sorted(set(NAMES) - set(each.classifier.input_names)) for each in parts]
    assert left_out[0] and "AGE" not in left_out[0]
    made = explained(parts, segments)
    for part, names in zip(parts, left_out, strict=True):
        for name in names:
            column = NAMES.index(name)
            assert all((each[part.rows, column] == 0.0).all() for each in made.found.values.values())
            assert np.ptp(made.found.inputs[part.rows, column]) > 1.0
    assert made.found.names[made.found.importance("lrp").argmax()] == "AGE"

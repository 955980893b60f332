"""The card of a shipped model says what the run says, and the publisher's words below it."""

import math
from pathlib import Path

import pytest

from shared import model_card
from shared.command import InputError

RESULTS = {
    "parameters": 1234,
    "split": {
        "grouped_by": "event",
        "test_share": 0.2,
        "training": {"rows": 80, "events": 8, "stations": 20},
        "test": {"rows": 20, "events": 2, "stations": 9},
    },
    "validity": {"ranges": {"rjb": {"low": 0.0, "high": 99.5, "unit": "km"}}, "components": ["H", "V"]},
    "test": [{"column": "PGA", "period": 0.0, "n": 20, "bias": -0.0123456, "std": None, "bssa14_std": 0.7}],
    "inverse_test": [{"target": "mag", "n": 20, "bias": 0.5}],
}
PROVENANCE = {
    "command": "bliqnet/train_bliqnet.py --data data/a.csv",
    "git_commit": "abc",
    "git_dirty": False,
    "packages": {"torch": "2.4"},
    "data": {"format": "PEER", "paths": ["data/a.csv"], "sha256": ["12"], "synthetic": False, "rows": 100},
}
WORDS = ("# A model\n\nIt predicts.", "## Known limits\n\n- It is small.")


def made(**changes) -> str:
    return model_card.card(WORDS, "bliqnet", {"seed": 3}, RESULTS | changes, PROVENANCE, {"m.pth": 12345})


def test_figures_are_those_of_the_run():
    text = made()
    assert text.startswith("# A model\n\nIt predicts.\n\n")
    assert text.endswith("## Known limits\n\n- It is small.\n")
    assert "| period (s) | n | bias | std |\n| --- | --- | --- | --- |\n| 0 | 20 | -0.012 | – |" in text
    assert "bssa14_std" not in text
    assert "| training | 80 | 8 | 20 |\n| test | 20 | 2 | 9 |" in text
    assert "| rjb | 0 | 99.500 | km |" in text and "components: H, V." in text
    assert "python bliqnet/train_bliqnet.py --data data/a.csv\npython shared/publish_run.py --project bliqnet\n" in text
    assert "commit abc;" in text and "torch 2.4" in text and "seed 3" in text and "| m.pth | 12,345 |" in text
    assert "| target | n | bias |\n| --- | --- | --- |\n| mag | 20 | 0.500 |" in text
    # a residual is observed less predicted, an error of the inverse predicted less true
    assert text.index("observed less predicted") < text.index("predicted less true")


def test_synthetic_data_are_said_first():
    provenance = PROVENANCE | {"data": PROVENANCE["data"] | {"synthetic": True}}
    text = model_card.card(WORDS, "bliqnet", {}, RESULTS, provenance, {})
    assert "SYNTHETIC" not in made()
    assert text.index("Trained on SYNTHETIC data") < text.index("## Data")


def test_parts_of_segments_and_their_means():
    held = {"splits": [{"split": "a", "macro_f1": 0.5}], "mean": {"macro_f1": 0.25}, "pooled": {"macro_f1": 0.75}}
    split = {"grouped_by": "scenario", "exclusion_km": 50.0, "parts": 5, "rows": 556}
    text = made(test=None, inverse_test=None, split=split, held_out=held)
    assert "| a | 0.500 |\n| mean of the parts | 0.250 |\n| all segments together | 0.750 |" in text
    assert "all 556 complete segments" in text and "50 km left out about" in text


def test_a_run_that_says_little_makes_a_card_too():
    text = model_card.card(WORDS, "bliqnet", {}, {}, {}, {})
    assert "## Split" not in text and "## Ranges" not in text and "commit unknown" in text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((None, "–"), (math.nan, "–"), (3.0, "3"), (12345, "12,345"), (0.7366, "0.737"), (0.00123456, "0.00123")),
        *(("H", "H"), (-1.19e-6, "-1.19e-06"), (123456.7, "1.23e+05"), (True, "True")),
    ],
)
def test_numbers(value, said: str):
    assert model_card.number(value) == said


def test_words_are_parted_at_the_first_section(tmp_path: Path):
    path = tmp_path / "card.md"
    path.write_text("# Title\n\nWords.\n\n## Licence\n\nMIT\n\n## Limits\n\nnone\n", encoding="utf-8")
    assert model_card.words_about(path) == ("# Title\n\nWords.", "## Licence\n\nMIT\n\n## Limits\n\nnone")
    path.write_text("# Title alone", encoding="utf-8")
    assert model_card.words_about(path) == ("# Title alone", "")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such file"), (b"no title", "a title"), (b"# \xff", "no text in UTF-8")]
)
def test_words_that_cannot_be_used_are_refused(tmp_path: Path, content: bytes | None, said: str):
    path = tmp_path / "card.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        model_card.words_about(path)

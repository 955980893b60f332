"""A run folder of sections: every table and figure in it, and one page that needs no other file."""

import re

import pandas as pd

from shared import runs
from shared.plotting import new_figure
from shared.report_sections import Section, ShownTable, write

DATA = {"paths": ["a.csv", "b.csv"], "format": "canonical", "sha256": ["12", "34"]}
DEFAULT = {"paths": [], "format": "synthetic default", "sha256": []}


def test_sections_become_files_and_a_page(tmp_path):
    figure, axes = new_figure()
    axes[0, 0].plot([0, 1])
    sections = [
        Section(
            "First <b>",
            ["its text", "and more"],
            [ShownTable(pd.DataFrame({"period": [0.1, 0.1], "sigma": [0.5, 0.6]}), "its table", {"sigma": "low"})],
            {"drawn": (figure, "its figure")},
        ),
        Section("Second", []),
    ]
    run, tables = runs.Run(tmp_path), {"whole": pd.DataFrame({"a": [1.5, 2.0]})}
    provenance = runs.provenance(device="cpu", data=DATA) | {"external": [DEFAULT]}
    write(run, "The title", "its subtitle", sections, tables, provenance, True)
    assert {path.name for path in tmp_path.iterdir()} == {"whole.csv", "report.html", "figures"}
    assert (run.figures / "drawn.png").read_bytes().startswith(b"\x89PNG")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "whole.csv"), tables["whole"])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["First &lt;b&gt;", "Second"]
    for said in ("The title", "its subtitle", "its text", "and more", "its table", "its figure", "SYNTHETIC DATA"):
        assert said in page
    assert "a.csv, b.csv; synthetic default" in page
    assert "12; 34" in page
    assert re.findall(r'<td class="best">(.*?)</td>', page) == ["0.500"]
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # no other file, no network


def test_real_data_are_not_called_synthetic(tmp_path):
    write(runs.Run(tmp_path), "title", "", [], {}, runs.provenance(device="cpu", data=DATA), False)
    assert "SYNTHETIC" not in (tmp_path / "report.html").read_text(encoding="utf-8")

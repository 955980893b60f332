"""The report: well-formed, on its own, escaped, and with what it was given in the right cells."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from shared.plotting import new_figure
from shared.report import Report

VOID = {"meta", "img", "wbr"}


class Page(HTMLParser):
    """Elements of a page, and whether each that was opened is closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened, self.tags, self.cells, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.opened.append(tag)
        if tag in ("td", "th"):
            self.cells.append([dict(attrs).get("class", ""), ""])

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.opened and self.opened[-1] in ("td", "th"):  # a name may break after "_"
            self.cells[-1][1] += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def parse(report: Report) -> Page:
    page = Page(report.html())
    assert page.opened == []
    return page


@pytest.fixture
def figure():
    figure, axes = new_figure()
    axes[0, 0].plot([1, 2], [3, 4])
    axes[0, 0].set_title("a title in the figure")
    return figure


def test_a_whole_report(figure):
    report = Report("BLiqNet", "held-out events", provenance={"command": "python a.py", "rows": 12}, synthetic=False)
    report.section("Scores").paragraph("Less is better.").table(
        pd.DataFrame({"model": ["a"], "llh_multivariate": [1.5]}), "LLH"
    )
    report.section("Figures").bullets(["one", "two"]).figure(figure, "Residuals", alt="a line that rises")
    page = parse(report)
    assert page.all("html") == [{"lang": "en"}]
    links, targets = page.all("a"), page.all("h2")
    assert [link["href"] for link in links] == [f"#{target['id']}" for target in targets]
    assert len(targets) == 2
    assert page.cells == [["text", "model"], ["", "llh_multivariate"], ["text", "a"], ["", "1.500"]]
    for words in ("BLiqNet", "held-out events", "python a.py", "Less is better.", "LLH", "two", "Residuals"):
        assert words in page.text
    assert "SYNTHETIC" not in page.text
    (image,) = page.all("img")
    assert image["alt"] == "a line that rises"
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


def test_nothing_is_fetched_and_nothing_runs(figure):
    report = Report("a", synthetic=True).section("b").figure(figure, "c").figure(figure, "d", kind="svg")
    page = parse(report)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    outside = re.sub(r'src="data:[^"]*"', "", report.html())
    assert "http" not in outside
    assert "url(" not in outside
    assert "@import" not in outside


def test_svg_is_the_figure(figure):
    page = parse(Report("a", synthetic=False).figure(figure, "b", kind="svg"))
    content = base64.b64decode(page.all("img")[0]["src"].removeprefix("data:image/svg+xml;base64,"))
    assert b"<svg" in content


def test_a_saved_figure_is_embedded_as_it_is(figure):
    content = io.BytesIO()
    figure.savefig(content, format="png")
    page = Report("a", synthetic=False).figure(content.getvalue(), "b").html()
    assert base64.b64decode(page.split("base64,")[1].split('"')[0]) == content.getvalue()


def test_synthetic_data_are_announced_before_the_title():
    page = parse(Report("the title", synthetic=True))
    text = page.text[page.text.index("SYNTHETIC DATA") :]
    assert "the title" in text


def test_what_is_given_is_escaped():
    bad = '<script>alert("x")</script> & co'
    table = pd.DataFrame({bad: [bad]})
    report = Report(bad, bad, provenance={bad: bad}, synthetic=False).section(bad).paragraph(bad).bullets([bad])
    figure, _ = new_figure()
    page = parse(report.table(table, bad).figure(figure, bad, alt=bad))
    assert page.all("script") == []
    assert page.all("img")[0]["alt"] == bad
    assert page.cells == [["text", bad], ["text", bad]]
    assert page.text.count(bad) == 13  # the title twice, and every other place once


def test_links_are_relative_quoted_and_escaped():
    page = Report("t", synthetic=False).section("s").links([("a <b>", "runs/x y/report.html", "of & c")]).html()
    assert '<li><a href="runs/x%20y/report.html">a &lt;b&gt;</a> of &amp; c</li>' in page


def test_numbers_are_formatted_by_their_kind():
    table = pd.DataFrame(
        {
            "model": ["a", None],
            "n": [23929, 7],
            "count": [1234.0, np.nan],
            "llh": [1.23456, -np.inf],
            "well": [True, False],
        }
    )
    page = parse(Report("a", synthetic=False).table(table, digits=2))
    body = [text for _, text in page.cells[5:]]
    assert body == ["a", "23,929", "1,234", "1.23", "True", "–", "7", "–", "-inf", "False"]
    assert [name for name, _ in page.cells[5:7]] == ["text", ""]


def test_best_values_are_marked_within_their_group():
    table = pd.DataFrame(
        {
            "period": [0.1, 0.1, 0.1, 1.0, 1.0],
            "model": list("abcab"),
            "llh": [1.0, 2.0, 1.0, np.nan, 5.0],
            "r2": [0.5, 0.6, 0.4, 0.3, 0.2],
        },
        index=[4, 4, 4, 0, 1],
    )

    def marked(**options) -> set[tuple[int, int]]:
        page = parse(Report("a", synthetic=False).table(table, best={"llh": "low", "r2": "high"}, **options))
        return {divmod(k, 4) for k, (name, _) in enumerate(page.cells[4:]) if "best" in name}

    assert marked() == {(0, 2), (2, 2), (1, 3)}
    assert marked(within="period") == {(0, 2), (2, 2), (4, 2), (1, 3), (3, 3)}
    assert marked(within=["period", "model"]) == {(i, j) for i in range(5) for j in (2, 3)} - {(3, 2)}
    with pytest.raises(KeyError, match="crps"):
        Report("a", synthetic=False).table(table, best={"crps": "low"})


def test_an_empty_report_and_an_empty_table():
    page = parse(Report("nothing", synthetic=False))
    assert page.all("nav") == []
    page = parse(Report("nothing", synthetic=False).table(pd.DataFrame({"a": []}), best={"a": "low"}))
    assert [text for _, text in page.cells] == ["a"]

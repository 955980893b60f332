import re
from pathlib import Path

import pandas as pd
import pytest

from shared import runs
from shared.command import InputError
from shared.plotting import new_figure
from shared.reproduction_page import summary, write_page
from shared.reproduction_plan import EMBEDDED, Step
from shared.reproduction_progress import DONE, FAILED, Outcome
from shared.reproduction_results import CLAIMS, SYNTHETIC, results_table, rows_of


def step(folder: Path, project: str, data: str, verb: str = "evaluate", **more) -> Step:
    name = f"{project}-{data}-{verb}"
    return Step(name, project, data, verb, f"{project}/x.py", (), folder / "runs" / name, 60.0, **more)


def components(folder: Path, means: dict[str, float], component: str = "H") -> None:
    """A file of components in which the sigma of every model at two periods has the mean that is given."""
    rows = [
        {"component": component, "model": model, "column": column, "period": period, "sigma": mean + shift}
        for model, mean in means.items()
        for column, period, shift in (("PGA", 0.0, -0.01), ("SA(1.000)", 1.0, 0.01))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "components.csv", index=False)


def bliqnet(folder: Path, data: str = "NGA-West2") -> Outcome:
    made = step(folder, "bliqnet", data, reduced=("2 folds for 5",))
    sigma = {"BLiqNet": 0.731, "classical start": 0.7, "plain MLP": 0.76, "classical form, refitted": 0.742}
    components(made.output, sigma | {"BSSA14": 0.75, "CY14": 0.72, "BLiqNet, known sites": 0.6})
    inverse = [
        {"model": "liquid inverse", "target": "mag", "r2": 0.872},
        {"model": "random-forest inverse", "target": "mag", "r2": 0.859},
        {"model": "liquid inverse", "target": "ln_rjb", "r2": 0.6},
    ]
    runs.write_json(made.output / "results.json", {"inverse": inverse})
    runs.write_text(made.output / "report.html", "<p>BLiqNet</p>")
    runs.write_figure(made.output / "figures" / "sigma.png", new_figure()[0], dpi=30)
    return Outcome(made, DONE, 125.0)


def cgm(folder: Path) -> Outcome:
    made = step(folder, "cgm_gm", EMBEDDED)
    deviations = {"generator": (0.3, 0.5), "non-ergodic GP": (0.4, 0.41), "distance only": (0.6, 0.6)}
    deviations |= {"ergodic, published": (0.7, 0.8), "truth": (0.1, 0.1)}
    fas = [{"model": name, "deviation": each} for name, pair in deviations.items() for each in pair]
    runs.write_json(made.output / "results.json", {"fas": fas, "seen_in_training": False})
    return Outcome(made, DONE, 60.0)


def ml4szeq(folder: Path, data: str) -> Outcome:
    made = step(folder, "ml4szeq", data)
    scores = {"network, neighbours": 0.891, "neighbours' vote alone": 0.9, "nearest segment": 0.871, "SVC": 0.8}
    scores |= {"network, features": 0.95}  # not the one that was chosen for this split
    summary = [{"kind": "scenario", "exclusion": 50.0, "model": name, "mean": mean} for name, mean in scores.items()]
    runs.write_json(made.output / "results.json", {"summary": summary})
    return Outcome(made, DONE, 60.0)


def test_figures_of_the_table_are_those_of_the_runs(tmp_path):
    table, problems = results_table([ml4szeq(tmp_path, "trench segments"), cgm(tmp_path), bliqnet(tmp_path)])
    table = table.round(6)
    assert problems == []
    shown = table[
        ["data", "ours", "strongest competitor", "its figure", "ahead", "published model as it is", "published claim"]
    ]
    assert shown.to_numpy().tolist() == [
        ["NGA-West2", 0.731, "classical form, refitted", 0.742, "ours", "BSSA14 0.750", "–"],
        ["NGA-West2", 0.872, "random forest", 0.859, "ours", "–", "> .9, rebuilding its own input"],
        [SYNTHETIC, 0.4, "non-ergodic GP", 0.405, "ours", "ergodic, published 0.750", "–"],
        ["trench segments", 0.891, "nearest segment", 0.871, "ours", "–", ".770"],
    ]
    assert table["run"].tolist()[0] == "bliqnet-NGA-West2-evaluate"
    # another run, another figure
    components(tmp_path / "runs" / "bliqnet-NGA-West2-evaluate", {"BLiqNet": 0.7, "plain MLP": 0.6, "BSSA14": 0.7})
    again = results_table([Outcome(step(tmp_path, "bliqnet", "NGA-West2"), DONE)])[0].iloc[0]
    assert (round(again["ours"], 6), again["strongest competitor"], again["ahead"]) == (0.7, "plain MLP", "competitor")


def test_claims_stand_with_the_data_that_they_are_of(tmp_path):
    assert results_table([ml4szeq(tmp_path, EMBEDDED)])[0]["published claim"].tolist() == ["–"]
    claims = pd.read_csv(CLAIMS, dtype=str)
    assert not claims.isna().any(axis=None) and not claims.duplicated(["project", "data", "key"]).any()


def test_every_component_has_a_row_and_our_own_variants_are_no_competitors(tmp_path):
    made = step(tmp_path, "cvae_sa", "NZSMD")
    sigma = {"CVAE": 0.84, "CVAE, codes by ANN": 0.8, "classical form, refitted": 0.857, "BSSA14": 0.874}
    components(made.output, sigma, "H")
    first = pd.read_csv(made.output / "components.csv")
    both = pd.concat([first, first.assign(component="V", sigma=first["sigma"] + 0.1)])
    both.to_csv(made.output / "components.csv", index=False)
    runs.write_json(made.output / "results.json", {})
    rows = rows_of(made)
    assert [round(row.ours, 6) for row in rows] == [0.84, 0.94]
    assert ["horizontal" in rows[0].measure, "vertical" in rows[1].measure] == [True, True]
    assert all(set(row.rivals) == {"classical form, refitted"} for row in rows)


def test_damaged_results_are_named(tmp_path):
    outcome = bliqnet(tmp_path)
    (outcome.step.output / "components.csv").unlink()
    with pytest.raises(InputError, match=r"results.json: lacks what the results table shows"):
        rows_of(outcome.step)
    # the others are shown all the same
    table, problems = results_table([outcome, cgm(tmp_path)])
    assert (len(table), len(problems)) == (1, 1)
    page = write_page(tmp_path, [outcome.step], {outcome.step.name: outcome})
    assert "lacks what the results table shows" in page.read_text(encoding="utf-8")


def test_what_was_done_before_and_is_not_asked_for_stays_on_the_page(tmp_path):
    before, now = bliqnet(tmp_path), cgm(tmp_path)
    steps = [before.step, now.step]
    page = write_page(tmp_path, steps, {now.step.name: now}, earlier={before.step.name: before})
    text = page.read_text(encoding="utf-8")
    assert "2 of 2 steps done" in text and "0.731" in text


def test_page_links_what_there_is_by_paths_that_survive_a_move(tmp_path):
    failed = Outcome(step(tmp_path, "cvae_sa", EMBEDDED), FAILED, 3.0, "exit code 1: <no> memory")
    todo = step(tmp_path, "ml4szeq", EMBEDDED, "train")
    known = [bliqnet(tmp_path), cgm(tmp_path), failed]
    steps = [*(each.step for each in known), todo]
    page = write_page(tmp_path, steps, {each.step.name: each for each in known}, ["NZSMD: not in data"], 2)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "index.html"
    links = re.findall(r'<a href="([^#"][^"]*)"', text)
    assert links == ["runs/bliqnet-NGA-West2-evaluate/report.html"]
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert all((moved / link).is_file() for link in links)
    assert "0.731" in text and "0.742" in text and SYNTHETIC in text
    assert "exit code 1: &lt;no&gt; memory" in text and "NZSMD: not in data" in text and "to do" in text
    assert "2 folds for 5" in text and "2:05" in text and text.count("data:image/png") == 1
    assert "python bliqnet/x.py --output" in text or "x.py --output" in text
    assert 'class="synthetic"' not in text  # not all of it is


def test_page_of_embedded_data_alone_says_so_on_its_face(tmp_path):
    only = cgm(tmp_path)
    text = write_page(tmp_path, [only.step], {only.step.name: only}, [], 2).read_text(encoding="utf-8")
    assert 'class="synthetic"' in text
    nothing = write_page(tmp_path, [only.step], {}, [], 2).read_text(encoding="utf-8")
    assert "No evaluation is done yet." in nothing


def test_summary_for_the_terminal(tmp_path):
    lines = summary({"a": bliqnet(tmp_path), "b": cgm(tmp_path)}).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("BLiqNet  NGA-West2") and lines[0].endswith("0.731   0.742 classical form, refitted")
    assert summary({}) == ""

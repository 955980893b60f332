import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared import reproduction, runs
from shared.command import InputError
from shared.reproduction import LOGS, RUNS, STEPS, carry_out, check_folder, raise_if_any_failed
from shared.reproduction_plan import Step
from shared.reproduction_progress import DONE, FAILED, LEFT

# a training in miniature: three epochs, each noted, resumed from what is noted; it fails, or waits, where it is told to
SCRIPT = """
import json, sys, time
from pathlib import Path
words = sys.argv[1:]
resume = "--resume" in words
folder = Path(words[words.index("--resume" if resume else "--output") + 1])
folder.mkdir(parents=True, exist_ok=True)
told = Path(__file__).parent
if resume and (told / "refuse").exists():
    print("error: other options", file=sys.stderr)
    sys.exit(2)
if not resume:
    (folder / "config.json").write_text(json.dumps(words))
epochs = folder / "epochs"
for epoch in range(len(epochs.read_text()) if epochs.exists() else 0, 3):
    with epochs.open("a") as handle:
        handle.write(str(epoch))
    print("epoch", epoch)
    if epoch == 1 and (told / f"fail-{folder.name}").exists():
        raise ValueError("the sum does not add up")
    while epoch == 1 and (told / "wait").exists():
        time.sleep(0.01)
(folder / "results.json").write_text("{}")
"""


@pytest.fixture
def told(tmp_path: Path) -> Path:
    folder = tmp_path / "told"
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)
    return folder


def step(told: Path, name: str, *options: str, **more) -> Step:
    output = told.parent / "out" / RUNS / name
    return Step(name, "bliqnet", "embedded", "train", str(told / "script.py"), options, output, 1.0, **more)


def run(steps: list[Step], told: Path, **more):
    said: list[str] = []
    outcomes = carry_out(steps, told.parent / "out", more.pop("jobs", 2), said.append, pause=0.01, **more)
    return outcomes, said


def test_steps_are_run_in_the_order_that_they_need(told):
    first, second = step(told, "first"), step(told, "second", needs=("first",))
    pages = []
    outcomes, said = run([second, first], told, finished=lambda so_far: pages.append(set(so_far)))
    assert {name: each.state for name, each in outcomes.items()} == {"first": DONE, "second": DONE}
    assert pages[0] == {"first"} and pages[-1] == {"first", "second"}
    begun = [line for line in said if "begins" in line]
    assert ["first" in begun[0], "second" in begun[1]] == [True, True]
    log = (told.parent / "out" / LOGS / "first.txt").read_text().splitlines()
    assert log[1:] == ["epoch 0", "epoch 1", "epoch 2"]
    assert log[0].startswith("python ") and log[0].endswith(f"--output {first.output}")


def test_what_is_done_is_kept(told):
    steps = [step(told, "first"), step(told, "second")]
    run(steps, told)
    stamps = {each.name: (each.output / "results.json").stat().st_mtime_ns for each in steps}
    outcomes, said = run(steps, told)
    assert {each.state for each in outcomes.values()} == {DONE}
    assert stamps == {each.name: (each.output / "results.json").stat().st_mtime_ns for each in steps}
    assert said[0].startswith("2 of 2 steps were done before")


def test_other_options_and_other_data_are_run_afresh(told):
    data = told / "data.csv"
    data.write_text("1")
    run([step(told, "first", inputs=(data,))], told)
    (told.parent / "out" / RUNS / "first" / "stale").touch()
    for options, content in ((("--epochs", "3"), "1"), (("--epochs", "3"), "22")):
        data.write_text(content)
        asked = step(told, "first", *options, inputs=(data,))
        (asked.output / "stale").touch()
        outcomes, said = run([asked], told)
        assert outcomes["first"].state == DONE and any("begins" in line for line in said)
        assert not (asked.output / "stale").exists()


def test_a_step_that_fails_stops_only_those_that_need_it(told):
    (told / "fail-first").touch()
    steps = [step(told, "first"), step(told, "after", needs=("first",)), step(told, "other")]
    outcomes, said = run(steps, told)
    states = {name: each.state for name, each in outcomes.items()}
    assert states == {"first": FAILED, "after": LEFT, "other": DONE}
    assert outcomes["first"].said == "exit code 1: ValueError: the sum does not add up"
    assert outcomes["after"].said == "it needs first"
    with pytest.raises(InputError) as refusal:
        raise_if_any_failed(outcomes, told.parent / "out")
    assert "1 of 3 steps failed: first (exit code 1: ValueError" in str(refusal.value)
    assert "not run, because of that: after" in str(refusal.value)
    assert "Traceback" in (told.parent / "out" / LOGS / "first.txt").read_text()
    # mended, it goes on where it was, and the others are kept
    (told / "fail-first").unlink()
    other = (steps[2].output / "results.json").stat().st_mtime_ns
    outcomes, said = run(steps, told)
    assert {each.state for each in outcomes.values()} == {DONE}
    assert any("first goes on" in line for line in said)
    assert (steps[0].output / "epochs").read_text() == "012"
    assert (steps[2].output / "results.json").stat().st_mtime_ns == other
    raise_if_any_failed(outcomes, told.parent / "out")


def test_what_cannot_be_resumed_begins_afresh(told):
    (told / "fail-first").touch()
    run([step(told, "first")], told)
    (told / "fail-first").unlink()
    (told / "refuse").touch()
    outcomes, said = run([step(told, "first")], told)
    assert outcomes["first"].state == DONE
    assert any("cannot go on with what lay there (exit code 2: other options); begun afresh" in line for line in said)


def test_a_script_without_resume_begins_afresh(told):
    (told / "fail-first").touch()
    asked = step(told, "first", resumable=False)
    run([asked], told)
    (told / "fail-first").unlink()
    outcomes, said = run([asked], told)
    assert outcomes["first"].state == DONE and (asked.output / "epochs").read_text() == "012"
    assert not any("goes on" in line for line in said)


def test_interrupted_it_ends_its_steps_which_go_on_later(told, monkeypatch):
    (told / "wait").touch()
    first = step(told, "first")

    def interrupted(*_) -> None:
        if (first.output / "epochs").exists() and len((first.output / "epochs").read_text()) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reproduction.Progress, "beat", interrupted)
        run([first], told)
    note = json.loads((told.parent / "out" / STEPS / "first.json").read_text())
    assert note["state"] == "interrupted"
    with reproduction.held(told.parent / "out"):  # nothing that it began is left
        (told / "wait").unlink()
    outcomes, said = run([first], told)
    assert outcomes["first"].state == DONE and (first.output / "epochs").read_text() == "012"
    assert any("first goes on" in line for line in said)


def test_a_plain_kill_ends_its_steps_too(told, monkeypatch):
    (told / "wait").touch()
    first = step(told, "first")

    def killed(*_) -> None:
        if (first.output / "epochs").exists():
            reproduction.signal.raise_signal(reproduction.signal.SIGTERM)

    before = reproduction.signal.getsignal(reproduction.signal.SIGTERM)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reproduction.Progress, "beat", killed)
        run([first], told)
    assert reproduction.signal.getsignal(reproduction.signal.SIGTERM) == before
    with reproduction.held(told.parent / "out"):
        assert json.loads((told.parent / "out" / STEPS / "first.json").read_text())["state"] == "interrupted"


def test_killed_it_goes_on_and_a_whole_run_counts_as_done(told):
    first = step(told, "first")
    run([first], told)
    file = told.parent / "out" / STEPS / "first.json"
    note = json.loads(file.read_text())
    file.write_text(json.dumps({**note, "state": "running"}))  # killed after the run was whole
    stamp = (first.output / "results.json").stat().st_mtime_ns
    outcomes, _ = run([first], told)
    assert outcomes["first"].state == DONE and (first.output / "results.json").stat().st_mtime_ns == stamp
    file.write_text('{"state": "ru')  # cut short
    outcomes, said = run([first], told)
    assert outcomes["first"].state == DONE and any("first begins" in line for line in said)


def test_two_at_a_time_are_refused(told, tmp_path):
    code = "import sys, time\nfrom pathlib import Path\nfrom shared.reproduction import held\n"
    code += "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout.readline() == "held\n"
        note = {"state": "running", "process": other.pid}
        runs.write_json(tmp_path / "out" / STEPS / "x.json", note)
        with pytest.raises(InputError, match=rf"another reproduce works there, or steps .* \(processes {other.pid}\)"):
            run([step(told, "first")], told)
        other.kill()
    assert run([step(told, "first")], told)[0]["first"].state == DONE


def test_a_folder_of_something_else_is_refused_and_restart_drops_only_ours(told, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").touch()
    with pytest.raises(InputError, match="must be a new or an empty folder"):
        check_folder(foreign, restart=True, jobs=2)
    with pytest.raises(InputError, match="--jobs: must be at least 1, not 0"):
        check_folder(tmp_path / "new", restart=False, jobs=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "told"]
    out = tmp_path / "out"
    check_folder(out, restart=False, jobs=2)
    run([step(told, "first")], told)
    check_folder(out, restart=False, jobs=2)
    assert (out / RUNS / "first" / "results.json").exists()
    (out / "notes.txt").touch()
    check_folder(out, restart=True, jobs=2)
    assert sorted(path.name for path in out.iterdir()) == ["notes.txt", STEPS]


def test_a_file_that_was_interrupted_goes_on_and_a_new_one_begins_without_its_leftovers(told):
    (told / "script.py").write_text(
        "import sys\nfrom pathlib import Path\nout = Path(sys.argv[-1])\nparts = Path(f'{out}.parts')\n"
        "parts.mkdir(parents=True, exist_ok=True)\n(parts / str(len(list(parts.iterdir())))).touch()\n"
        "if len(list(parts.iterdir())) < 2: sys.exit(1)\nout.write_text(str(len(list(parts.iterdir()))))\n"
    )
    output = told.parent / "out" / RUNS / "waves.h5"
    asked = Step("waves", "cgm_gm", "x", "prepare", str(told / "script.py"), (), output, 1.0, resumable=False)
    assert run([asked], told)[0]["waves"].state == FAILED
    assert run([asked], told)[0]["waves"].state == DONE
    assert output.read_text() == "2"
    other = Step("waves", "cgm_gm", "x", "prepare", str(told / "script.py"), ("-x",), output, 1.0, resumable=False)
    assert run([other], told)[0]["waves"].state == FAILED  # its first part: nothing of the other is left
    assert not output.exists()

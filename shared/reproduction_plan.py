"""What `reproduce.py` runs: a step for every command, on embedded and on real data, with its reduced options and time.

Scripts are named by their path and run as processes of their own: `shared` imports no sub-project.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared.command import InputError

PROJECTS = ("bliqnet", "cvae_sa", "cgm_gm", "ml4szeq")
EMBEDDED = "embedded"
REPORT = "report.html"
# a real data set: the places below the data folder where it may lie, the first of which is taken; they are those that
# data/README.md gives, for one's own use and for the tests
PLACES: dict[str, tuple[str, ...]] = {
    "NGA-West2": (
        "nga_west2/nga_west2_exact_train.csv",
        "nga_west2_exact_train.csv",
        "Updated_NGA_West2_Flatfile_RotD50_d050_public_version.xlsx",
        "nga_west2/Updated_NGA_West2_Flatfile_RotD50_d050_public_version.xlsx",
    ),
    "NZSMD": ("nzsmd/NZdatabase_flatfile_PSA_05pc.csv", "NZdatabase_flatfile_PSA_05pc.csv"),
    "NZSMD vertical": (
        "nzsmd/NZdatabase_flatfile_PSA_05pc_vertical.csv",
        "NZdatabase_flatfile_PSA_05pc_vertical.csv",
    ),
    "Türkiye 2023": ("turkey_2023/turkey_2023_flatfile.csv", "turkey_2023_flatfile.csv"),
    "Bay Area": ("bay_area.csv", "waveforms/bay_area.csv"),
    "Taiwan 2022": ("waveforms/taiwan_2022", "taiwan_2022"),
    "trench segments": ("subduction_segments",),
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One command.

    Attributes
    ----------
    name
        Of its folder and log: sub-project, data, verb.
    project
        Its sub-project.
    data
        Name of a data set of `PLACES`, or `EMBEDDED`.
    verb
        What it does: train, evaluate and so on.
    script
        Path below the repository.
    options
        All but ``--output``.
    output
        The folder, or the file, that ``--output`` names.
    seconds
        What it takes on an idle core or thereabouts.
    needs
        Names of steps that have to be done before.
    inputs
        Files of real data that it reads; when they change, the step is done again.
    resumable
        Whether the script takes ``--resume``.
    reduced
        What is less than in the full evaluation, in words.
    """

    name: str
    project: str
    data: str
    verb: str
    script: str
    options: tuple[str, ...]
    output: Path
    seconds: float
    needs: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    resumable: bool = True
    reduced: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether its data are embedded, and so made up."""
        return self.data == EMBEDDED


def found_data(folder: Path | None) -> dict[str, Path]:
    """The real data sets of `PLACES` that lie below ``folder``.

    Raises
    ------
    InputError
        There is no such folder.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; --data-dir names the folder that data/README.md describes")
    candidates = {name: [folder / place for place in places] for name, places in PLACES.items()}
    found = {name: next((path for path in paths if path.exists()), None) for name, paths in candidates.items()}
    return {name: path for name, path in found.items() if path is not None}


def missing_data(folder: Path | None, found: Mapping[str, Path]) -> list[str]:
    """A line for every data set that is not there: what is left out, and where it would be looked for."""
    if folder is None:
        return ["no --data-dir: the embedded synthetic data only"]
    return [
        f"{name}: not in {folder} (looked for {', '.join(places)}); what needs it is left out"
        for name, places in PLACES.items()
        if name not in found
    ]


def planned(folder: Path, data: Mapping[str, Path], projects: Iterable[str] = PROJECTS) -> list[Step]:
    """The steps of ``projects``, in the order in which they are begun: long ones first, so that no core waits.

    ``folder`` is that of the runs, ``data`` as of `found_data`.
    """
    makers = {"bliqnet": _bliqnet, "cvae_sa": _cvae, "cgm_gm": _cgm, "ml4szeq": _ml4szeq}
    steps = [step for name in makers if name in set(projects) for step in makers[name](folder, data)]
    after = {step.name: step.seconds for step in steps}  # with what waits for it
    for step in reversed(steps):
        for need in step.needs:
            after[need] = max(after[need], after[step.name] + next(s.seconds for s in steps if s.name == need))
    return sorted(steps, key=lambda step: -after[step.name])


def _step(folder: Path, project: str, data: str, verb: str, script: str, *options: str, **more) -> Step:
    name = f"{project}-{data.lower().replace(' ', '-').replace('ü', 'u')}-{verb}"
    output = folder / (name + more.pop("suffix", ""))
    return Step(name, project, data, verb, f"{project}/{script}.py", tuple(map(str, options)), output, **more)


def _bliqnet(folder: Path, data: Mapping[str, Path]) -> list[Step]:
    without = "without the paper's four scikit-learn models and their mean (--no-baselines)"
    few = ("--no-baselines", "--folds", "2", "--members", "3", "--epochs", "30", "--no-inverse")
    said = (without, "2 folds for 5", "3 networks for 5", "30 epochs for 60", "no inverse (--no-inverse)")
    steps = [
        _step(folder, "bliqnet", EMBEDDED, "train", "train_bliqnet", seconds=120),
        _step(folder, "bliqnet", EMBEDDED, "evaluate", "evaluate_bliqnet", *few, seconds=240, reduced=said),
    ]
    if (file := data.get("NGA-West2")) is not None:
        external = [data[name] for name in ("NZSMD", "Türkiye 2023") if name in data]
        given = ["--data", file, *(["--external", *external] if external else [])]
        large = file.suffix == ".xlsx"  # the whole flatfile: four times the records
        steps.append(
            _step(
                folder,
                "bliqnet",
                "NGA-West2",
                "evaluate",
                "evaluate_bliqnet",
                *given,
                *(few if large else ("--no-baselines",)),
                seconds=480,
                inputs=(file, *external),
                reduced=said if large else (without,),
            )
        )
    return steps


def _cvae(folder: Path, data: Mapping[str, Path]) -> list[Step]:
    few = ("--outer-folds", "2", "--folds", "2", "--samples", "50", "--epochs", "20")
    said = ("2 outer folds for 5", "2 folds of calibration for 5", "50 samples for 200", "20 epochs for 40")
    steps = [
        _step(folder, "cvae_sa", EMBEDDED, "train", "train_cvae", seconds=120),
        _step(folder, "cvae_sa", EMBEDDED, "evaluate", "evaluate_cvae", *few, seconds=300, reduced=said),
    ]
    real = {
        "NGA-West2": [data[name] for name in ("NGA-West2",) if name in data],
        "NZSMD": [data[name] for name in ("NZSMD", "NZSMD vertical") if name in data],
    }
    for name, files in real.items():
        if files:
            large = any(file.suffix == ".xlsx" for file in files)
            fewer, less = (few, said) if large else (("--samples", "100"), ("100 samples for 200",))
            steps.append(
                _step(
                    folder,
                    "cvae_sa",
                    name,
                    "evaluate",
                    "evaluate_cvae",
                    "--data",
                    *files,
                    *fewer,
                    seconds=480,
                    inputs=tuple(files),
                    reduced=less,
                )
            )
    return steps


def _cgm(folder: Path, data: Mapping[str, Path]) -> list[Step]:
    one = ("--threads", "1")
    few = ("--samples", "30", "--max-records", "400", *one)
    said = ("30 samples a record for 100", "400 records for all 800", "without the published network (--published-run)")
    made = _step(folder, "cgm_gm", EMBEDDED, "train", "train_cgm", *one, seconds=240)
    steps = [made, _judged(folder, made, few, said, 360)]
    if (file := data.get("Bay Area")) is not None:
        prepared = _prepared(folder, "Bay Area", file, (), 600)
        trained = _trained(folder, prepared, (), 240)
        steps += [prepared, trained, _judged(folder, trained, few, said, 360)]
    elif (records := data.get("Taiwan 2022")) is not None:
        options = ("--units", "m/s2", "--onset", "picked", "--search", "25", "--padding", "13", "--workers", "1")
        prepared = _prepared(folder, "Taiwan 2022", records, options, 30)
        trained = _trained(folder, prepared, ("--test-share", "0"), 30)
        said = ("10 samples a record for 100", "two earthquakes, both learnt from: this shows that the chain holds")
        steps += [prepared, trained, _judged(folder, trained, ("--samples", "10", *one), said, 90)]
    return steps


def _prepared(folder: Path, name: str, source: Path, options: tuple[str, ...], seconds: float) -> Step:
    more = {"suffix": ".h5", "seconds": seconds, "inputs": (source,), "resumable": False}
    return _step(folder, "cgm_gm", name, "prepare", "prepare_waveforms", source, *options, **more)


def _trained(folder: Path, prepared: Step, options: tuple[str, ...], seconds: float) -> Step:
    given = ("--data", prepared.output, "--threads", "1", *options)
    more = {"seconds": seconds, "needs": (prepared.name,), "inputs": prepared.inputs}
    return _step(folder, "cgm_gm", prepared.data, "train", "train_cgm", *given, **more)


def _judged(folder: Path, trained: Step, options: tuple[str, ...], reduced: tuple[str, ...], seconds: float) -> Step:
    more = {"seconds": seconds, "needs": (trained.name,), "inputs": trained.inputs, "reduced": reduced}
    given = ("--run", trained.output, *options)
    return _step(folder, "cgm_gm", trained.data, "evaluate", "test_best_model", *given, **more)


def _ml4szeq(folder: Path, data: Mapping[str, Path]) -> list[Step]:
    steps = []
    sources = [(EMBEDDED, None), *(("trench segments", data[name]) for name in ("trench segments",) if name in data)]
    for name, tables in sources:
        given = ("--data", tables) if tables else ()
        files = tuple(sorted(tables.glob("*.csv"))) if tables else ()
        train = _step(folder, "ml4szeq", name, "train", "train_fcn", *given, "--threads", "1", seconds=30, inputs=files)
        after = {"needs": (train.name,), "inputs": files, "resumable": False}
        few = ("--seeds", "1", "--workers", "1", "--exclusions", "0", "50", "100", "250")
        said = ("1 seed for 5", "exclusion distances up to 250 km for 600")
        steps += [
            train,
            _step(
                folder,
                "ml4szeq",
                name,
                "evaluate",
                "evaluate_fcn",
                *given,
                *few,
                seconds=150,
                inputs=files,
                reduced=said,
            ),
            _step(
                folder,
                "ml4szeq",
                name,
                "explain",
                "explain_fcn",
                "--run",
                train.output,
                "--threads",
                "1",
                seconds=40,
                **after,
            ),
            _step(
                folder,
                "ml4szeq",
                name,
                "map",
                "map_segments",
                "--predictions",
                train.output / "predictions.csv",
                "--dpi",
                "130",
                seconds=30,
                **after,
            ),
        ]
    return steps

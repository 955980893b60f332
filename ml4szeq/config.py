"""The command lines: one frozen dataclass per command, a sentence and a unit for every field."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

Task = Literal["classification", "regression", "both"]
Classes = Literal[2, 3]
ClassLoss = Literal["cross_entropy", "ordinal"]
Weights = Literal["none", "class", "region"]


Network = Literal["features", "along_strike", "transfer", "neighbours"]


@dataclass(frozen=True)
class Recipe:
    """How an ensemble is built and trained."""

    task: Task = "classification"
    classes: Classes = 2
    hidden: tuple[int, ...] = (64, 64)
    dropout: float = 0.3
    batch_norm: bool = False
    embedding: int = 0
    plain: bool = True
    relative: bool = False
    smooth: float = 0.0
    region_mean: bool = False
    consistent: bool = False
    average: float = 0.0
    neighbours: bool = False
    loss: ClassLoss = "cross_entropy"
    label_smoothing: float = 0.05
    weights: Weights = "class"
    noise: float = 0.1
    epochs: int = 120
    batch: int = 128
    learning_rate: float = 5e-3
    weight_decay: float = 0.05
    members: int = 5


# What each network is, where no option says otherwise. Sizes were chosen on the published table by validation within
# the training part of every split (README, "How the networks were chosen").
RECIPES: dict[Network, Recipe] = {
    "features": Recipe(),
    "along_strike": Recipe(
        smooth=200.0, region_mean=True, average=200.0, dropout=0.5, noise=0.5, weight_decay=1.0, epochs=60
    ),
    "transfer": Recipe(consistent=True, average=200.0, weights="region", epochs=50),
    "neighbours": Recipe(
        neighbours=True,
        hidden=(32, 32),
        dropout=0.5,
        noise=0.5,
        weight_decay=1.0,
        learning_rate=1e-3,
        label_smoothing=0.02,
        weights="none",
        epochs=25,
    ),
}


@dataclass(frozen=True)
class RecipeOptions:
    """Options of every command that trains; what is not given is the default of the network."""

    task: Task = "classification"
    """Classes, magnitude (of segments with an event), or both from one trunk."""
    classes: Classes = 2
    """2: Mw below 8, and from 8 on. 3: edges 6.4 and 8.3."""
    members: int = 5
    """Networks of an ensemble, whose probabilities are averaged."""
    hidden: tuple[int, ...] | None = None
    """Units of the hidden layers."""
    dropout: float | None = None
    """Share of the units dropped in training."""
    batch_norm: bool | None = None
    """Normalise hidden layers over the batch."""
    embedding: int | None = None
    """Learnt numbers for each region that join the features; 0: none. A region that is new has zeros."""
    relative: bool | None = None
    """Add each feature against its region's mean, in its standard deviations."""
    smooth: float | None = None
    """Add each feature's mean over segments within so many km along the trench; 0: none."""
    region_mean: bool | None = None
    """Add each feature's mean over the region."""
    consistent: bool | None = None
    """Leave out inputs whose relation to the class changes its sign from region to region."""
    average: float | None = None
    """Average what the networks say over segments within so many km along the trench; 0: not at all."""
    loss: ClassLoss | None = None
    """Of the classes; ordinal is the ranked probability score."""
    label_smoothing: float | None = None
    """Share of a label spread evenly over the classes."""
    weights: Weights | None = None
    """Weigh segments in the loss so that every class, or every class of every region, counts the same."""
    noise: float | None = None
    """Standard deviation of noise added to scaled features in training."""
    epochs: int | None = None
    """Passes over the training segments."""
    batch: int | None = None
    """Segments in a step."""
    learning_rate: float | None = None
    """Peak of AdamW's one-cycle learning rate."""
    weight_decay: float | None = None
    """Decoupled weight decay."""

    def recipe(self, network: Network) -> Recipe:
        """The recipe of ``network`` with the options that are given."""
        given = {field.name: getattr(self, field.name) for field in fields(RecipeOptions)}
        return replace(RECIPES[network], **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class TrainConfig(RecipeOptions):
    """Train networks on trench segments: one for each scenario, and one on all segments."""

    data: tuple[Path, ...] = ()
    """Tables of segments, or folders of them; none: the embedded synthetic default."""
    drop: tuple[str, ...] = ()
    """Features to leave out."""
    features: tuple[str, ...] = ()
    """Features to use; none given: all of the table."""
    network: Network = "features"
    """features: the table's own. along_strike: with their means along the trench and over the region, and answers
    averaged along the trench. transfer: for regions without a label, by features that go with the class in the same
    way everywhere. neighbours: features correct what known classes nearby say."""
    split: Literal["scenario", "rupture", "region", "random"] = "scenario"
    """Which segments are held out: blocks along strike, whole ruptures, whole regions, or any (leaky)."""
    exclusion: float = 50.0
    """Distance in km along the trench that training segments keep from a held-out block of a scenario."""
    searched: Annotated[str | None, tyro.conf.arg(name="recipe")] = None
    """Run folder of random_search.py, or latest: every network by the recipe found for it, without its test block."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted training to go on with; its options are kept, others given here are refused."""
    seed: int = 0
    """Seed of the weights, the batches and the splits."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    threads: int = 2
    """Threads of the CPU; the default was the fastest on two cores."""


@dataclass(frozen=True)
class SearchConfig(RecipeOptions):
    """Search at random for recipes; an option of the recipe that is given is not searched."""

    data: tuple[Path, ...] = ()
    """Tables of segments, or folders of them; none: the embedded synthetic default."""
    drop: tuple[str, ...] = ()
    """Features to leave out."""
    features: tuple[str, ...] = ()
    """Features to use; none given: all of the table."""
    network: Network = "features"
    """Which network's recipe, as of train_fcn.py."""
    split: Literal["scenario", "rupture", "region", "random"] = "scenario"
    """Which segments the search for a recipe never sees, as of train_fcn.py."""
    exclusion: float = 50.0
    """Distance in km along the trench that training segments keep from a held-out block, inner ones too."""
    trials: int = 30
    """Recipes to try; the first is the network's default."""
    folds: int = 3
    """Inner blocks that judge a recipe, in the training part of every split."""
    trial_members: int = 2
    """Networks of a trial's ensembles; --members is of the final ones."""
    units: tuple[int, int] = (16, 800)
    """Least and most units of a hidden layer."""
    engine: Literal["local", "ray"] = "local"
    """local: trials in processes of this machine; ray: on a Ray cluster."""
    workers: int = 2
    """Trials at a time; what is found is the same whatever their number."""
    address: str | None = None
    """Of a running Ray cluster, HOST:PORT or auto; none: one is started on this machine."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted search to go on with; its options are kept, others given here are refused."""
    seed: int = 0
    """Seed of the proposals, the weights, the batches and the splits."""


@dataclass(frozen=True)
class SampleConfig:
    """From grids, trench lines, rotation poles and a catalogue to a table of trench segments."""

    trenches: Path | None = None
    """CSV of trench lines (region, lon, lat in degrees, by choice downgoing_side 1 right or -1 left of the way), or
    GMT's text of several lines; none: our simplified lines of the eight regions, which may be tens of km off."""
    grid: tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]] = ()
    """NAME=PATH of NetCDF or GeoTIFF grids, such as DEPTH=slab.grd (km) BATHYMETRY=gebco.nc (m) SED=sediment.nc (m);
    PATH?variable takes one grid of several, NAME/region=PATH is for one region, and a NAME given twice is looked up in
    its first file, then in the second."""
    unit: tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]] = ()
    """NAME=UNIT of grids that are in another unit than ours, such as DEPTH=m."""
    poles: Path | None = None
    """CSV of rotation poles: region, plate (upper or downgoing), pole_lat, pole_lon (degrees), rate (degrees per
    million years)."""
    catalogue: Path | None = None
    """Earthquakes for the labels: Global CMT's ndk, QuakeML or CSV; none: no labels."""
    output: Path = Path("runs/ml4szeq/segments.csv")
    """CSV file to write, one row a segment."""
    figures: bool = False
    """Draw the features along each trench, beside the CSV."""
    spacing: float = 50.0
    """Length of a segment along the trench in km."""
    chord: float = 150.0
    """Length in km of the chord whose direction is the trench's at a segment."""
    downgoing_box: tuple[float, float] = (0.0, 50.0)
    """Distances from the trench in km at which boxes on the downgoing plate begin and end."""
    upper_box: tuple[float, float] = (0.0, 50.0)
    """The same of boxes on the upper plate."""
    step: float = 5.0
    """Distance in km between the points of a box."""
    least_share: float = 1 / 3
    """Share of a box's points that must have a value; with fewer its features are empty."""
    slab_depth: Literal["distance", "extent"] = "distance"
    """What DXT_200, _400, _600 are. distance: depth so many km behind the trench; extent: the slab's greatest depth,
    smoothed over so many km along the trench, which is what the published numbers look like."""
    across: tuple[float, float] = (-50.0, 250.0)
    """Window of earthquakes in km across the trench, positive towards the upper plate."""
    deepest: float = 70.0
    """Largest depth of earthquakes in km."""
    smallest: float = 4.5
    """Least Mw of earthquakes."""
    thrust_only: bool = True
    """Leave out earthquakes whose known mechanism is no thrust on the interface."""
    classes: Classes = 3
    """Whose counts n_<class> are made, 2 or 3 classes by magnitude."""
    seed: int = 0
    """Seed of the embedded synthetic default, which is sampled where neither grids, poles nor a catalogue are given."""


@dataclass(frozen=True)
class PredictConfig:
    """Predict the classes of segments by a trained network."""

    input: Path
    """Table of segments; it needs no label."""
    output: Path
    """CSV file to write, one row a segment in the order of the input."""
    run: str = "latest"
    """Run folder, pretrained, or latest: the newest complete run below runs/ml4szeq, or else the pretrained model."""


@dataclass(frozen=True)
class EvaluateConfig(RecipeOptions):
    """Judge networks and baselines on all splits, over several seeds."""

    data: tuple[Path, ...] = ()
    """Tables of segments, or folders of them; none: the embedded synthetic default."""
    drop: tuple[str, ...] = ()
    """Features to leave out."""
    features: tuple[str, ...] = ()
    """Features to use; none given: all of the table."""
    splits: tuple[Literal["scenario", "rupture", "region", "random"], ...] = ("scenario", "rupture", "region", "random")
    """Ways to hold segments out: blocks along strike, whole ruptures, whole regions, or any segments (leaky)."""
    exclusions: tuple[float, ...] = (0.0, 50.0, 100.0, 250.0, 500.0, 600.0)
    """Distances in km that training segments keep from the blocks of the scenarios."""
    unseen: tuple[Path, ...] = ()
    """More tables, of segments that are in none of the data, to test on."""
    seeds: int = 5
    """How many trainings differ in nothing but their random numbers."""
    workers: int = 2
    """Splits fitted at a time, each in a process of its own; the figures are the same whatever their number."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted evaluation to go on with; its options are kept, others given here are refused."""
    seed: int = 0
    """Seed of the first of the trainings, and of random folds."""


@dataclass(frozen=True)
class ExplainConfig:
    """Which features trained networks go by: relevances, rankings, and how far these can be trusted."""

    run: str = "latest"
    """Run folder, or latest: the newest complete run below runs/ml4szeq."""
    data: tuple[Path, ...] = ()
    """Tables of segments, or folders of them, explained by the final network; none: where the run has read them."""
    networks: Literal["held_out", "final"] = "held_out"
    """held_out: every segment by the networks that have not seen it; final: all by those trained on all."""
    target: str = "highest"
    """What is explained: the class predicted, observed or highest, a class by name such as below_8, or magnitude."""
    rule: Literal["epsilon", "gamma", "alpha1beta0", "epsilon_plus"] = "epsilon"
    """Of layer-wise relevance propagation; ml4szeq/lrp.py says what each does."""
    epsilon: float = 1e-9
    """Of the rule of this name, in units of a layer's output; larger ones damp what is weak."""
    explains: Literal["margin", "logit"] = "margin"
    """margin: a class's logit less the mean of the others', which is all that probabilities depend on; or the logit."""
    normalise: Literal["none", "sum", "largest"] = "none"
    """Rescale every segment's relevances: to a sum of sizes of 1, or to a largest size of 1 as published."""
    repeats: int = 10
    """Permutations of each feature."""
    control: int = 10
    """Ensembles trained on labels shuffled between ruptures, to show what noise looks like; 0: none."""
    top: int = 10
    """Features that count as the top of a ranking."""
    draws: int = 1000
    """Draws of ruptures for the intervals."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    seed: int = 0
    """Seed of the permutations, the draws and the control."""
    threads: int = 2
    """Threads of the CPU; the default was the fastest on two cores."""


@dataclass(frozen=True)
class MapConfig:
    """Maps of predictions, of what is wrong about them, and of relevances along the trenches."""

    output: Path
    """Folder of the maps, new or empty."""
    predictions: Path | None = None
    """CSV of predictions, one row a segment, as predict_segments.py writes it."""
    relevances: Path | None = None
    """CSV of relevances: one row a segment and one column a feature, or one row a segment and feature."""
    trenches: Path | None = None
    """CSV or GMT text of your own trench lines, on which segments lie by their along_km; none: columns lon and lat, or
    our simplified lines of the eight regions, which may be tens of km off."""
    regions: tuple[str, ...] = ()
    """Codes of the regions to draw; none: all of the file."""
    features: tuple[str, ...] = ()
    """Features, or groups of them, whose relevance gets a page of its own, every region by itself."""
    top: int = 6
    """How many of the most relevant features are drawn together."""
    method: str | None = None
    """Method of relevance, where the file has several; none: the file's first."""
    width: Literal["single", "double"] = "double"
    """Column of a journal: 8.5 or 17.5 cm. The page of all regions has always 17.5 cm."""
    format: Literal["png", "pdf", "svg"] = "png"
    """Of the files."""
    dpi: int = 300
    """Dots per inch of png."""
    download: bool = False
    """Try for 20 s to fetch Natural Earth's coastlines where there are none; the coarse outline stays the fallback."""

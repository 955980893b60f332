"""The command lines: one frozen dataclass per command, a sentence and a unit for every field."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import tyro

from cgm_gm.waveform_file import BEFORE, DURATION, Quantity
from shared.command import InputError

Component = Literal["east", "north", "radial", "transverse", "vertical"]
Onset = Literal["theoretical", "picked"]
Picker = Literal["ar", "sta_lta"]
Units = Literal["m/s", "cm/s", "m/s2", "cm/s2", "g"]
EventSource = Literal["files", "headers"]


@dataclass(frozen=True)
class PrepareConfig:
    """From raw records to one HDF5 file of waveforms."""

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of records (miniSEED, SAC, K-NET, whatever ObsPy reads) with their event and station files; or one CSV
    file of the paper's layout."""
    output: Path
    """HDF5 file to write; until it is whole, finished events wait in the folder OUTPUT.parts beside it."""
    events: Path | None = None
    """CSV table or QuakeML file of events; an event of the same id in a folder gives way to it."""
    stations: tuple[Path, ...] = ()
    """More StationXML files, folders of them, or CSV tables of stations."""
    event_source: EventSource = "files"
    """files: event.json, QuakeML and tables; headers: the earthquake that K-NET and SAC headers name."""
    units: Units | None = None
    """Unit of samples that are physical already; leave it out for counts, to be scaled by StationXML or header."""
    quantity: Quantity = "velocity"
    """velocity (m/s) or acceleration (m/s²)."""
    component: Component = "east"
    """Direction of motion wanted; rotated from what there is by the azimuths of StationXML. Radial is away from the
    source, transverse 90 degrees clockwise of it."""
    band: tuple[float, float] = (0.2, 40.0)
    """Corners of the band-pass filter in Hz (Butterworth's amplitude of 4th order, no phase)."""
    before: float = BEFORE
    """Seconds of the window before the P onset."""
    duration: float = DURATION
    """Seconds of the window."""
    padding: float = 0.0
    """Seconds that a record may lack at either end of the window; they are filled with zeros."""
    onset: Onset = "theoretical"
    """P onset by travel times of a layered crust, or picked near them."""
    picker: Picker = "ar"
    """ar: ObsPy's autoregressive picker (three components), with sta_lta where it fails; sta_lta: recursive STA/LTA,
    refined by Akaike's criterion."""
    search: float = 3.0
    """Seconds to either side of the theoretical P in which a pick counts."""
    layers: Path | None = None
    """CSV of a layered crust for the travel times, columns top (km), vp and vs (km/s); default: GIL7, Coast Ranges of
    California."""
    minimum_snr: float = 3.0
    """Least ratio of the root mean squares of signal and of noise before P, in the band."""
    minimum_rate: float = 80.0
    """Least sampling rate in Hz of a raw record; all are resampled to 100 Hz."""
    farthest: float = 500.0
    """Largest hypocentral distance in km."""
    region: tuple[float, float, float, float] | None = None
    """South, north, west, east in degrees: sources and stations outside are left out."""
    workers: int = 2
    """Processes; the file is the same whatever their number."""
    restart: bool = False
    """Drop what an interrupted run with other options has left in OUTPUT.parts."""


@dataclass(frozen=True)
class Recipe:
    """How a generator is built and trained; shared by training, search, evaluation and benchmarks."""

    tcondvar: Literal[0, 1, 2, 3, 4] = 2
    """Conditions: 0 magnitude, distance, azimuth; 1 the same and depth; 2 magnitude, places of source and station,
    depth; 3 magnitude, depth; 4 magnitude, distance, depth."""
    backbone: Literal["spatial", "ergodic"] = "spatial"
    """Level in ln FAS to start from: with source, site and path terms of the place (tcondvar 2), or without."""
    latent: int = 12
    """Dimensions of a record's code."""
    hidden: int = 96
    """Units of the decoder's layers."""
    n_fft: int = 160
    """Samples of a frame of the spectrogram."""
    hop: int = 46
    """Samples from frame to frame."""
    epochs: int = 60
    """Passes over the training records."""
    batch: int = 128
    """Records in a step."""
    learning_rate: float = 5e-3
    """Peak of AdamW's one-cycle learning rate."""
    weight_decay: float = 0.1
    """Decoupled weight decay."""
    precision: Literal["float32", "bf16"] = "float32"
    """Of the network's products in training; bf16 is faster where the processor has it, and came to the same loss."""
    validation_share: float = 0.1
    """Share of the training events that is watched and not learnt from."""


@dataclass(frozen=True)
class PublishedRecipe:
    """How the published network is built and trained; defaults are the best sizes that were reported."""

    tcondvar: Literal[0, 1, 2, 3, 4] = 2
    """As of our own: 2 is the model proper, 4 the distance-only baseline."""
    latent: int = 32
    """Dimensions of a frame's code."""
    recurrent: int = 32
    """Hidden units of the recurrent cell of the published network's prior."""
    embedded: int = 16
    """Dimensions of the published network's embedded condition."""
    beta: float = 0.2
    """Weight of the divergence in the published loss."""
    alpha: float = 0.01
    """Weight of the squared error of waveforms in the published loss; which one was best is not reported."""
    n_fft: int = 160
    """Samples of a frame of the spectrogram."""
    hop: int = 46
    """Samples from frame to frame."""
    epochs: int = 5000
    """Passes over the training records."""
    batch: int = 128
    """Records in a step."""
    learning_rate: float = 8e-4
    """Of Adam at first; a hundredth less every 100 epochs."""
    weight_decay: float = 1e-5
    """Of Adam, as a penalty."""
    free_running: bool = False
    """Let the published network's prior roll on its own samples in training, as published."""
    validation_share: float = 0.1
    """Share of the training events that is watched and not learnt from."""


class Networks:
    """For options that hold the recipes of both networks: which one is meant."""

    def recipe(self) -> Recipe | PublishedRecipe:
        """The recipe of the chosen network; what is None is that network's default.

        Raises
        ------
        InputError
            An option of the other network is given.
        """
        kinds: dict[str, type[Recipe] | type[PublishedRecipe]] = {"ours": Recipe, "published": PublishedRecipe}
        kind = kinds.pop(self.network)
        ((other, foreign),) = kinds.items()
        known = {field.name for field in fields(kind)}
        for field in fields(foreign):
            if field.name not in known and getattr(self, field.name) != field.default:
                name = field.name.replace("_", "-")
                raise InputError(f"--{name}: an option of --network {other}; drop it, or choose that network")
        given = {name: getattr(self, name) for name in known}
        return kind(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class TrainConfig(Networks, Recipe, PublishedRecipe):
    """Options of ``train_cgm.py``: the recipes of both networks, None where their defaults differ."""

    network: Literal["ours", "published"] = "ours"
    """ours, or the published recurrent autoencoder, to compare with."""
    latent: int | None = None
    """Dimensions of a record's code (ours: 12), or of a frame's (published: 32)."""
    epochs: int | None = None
    """Passes over the training records (ours: 60; published: 5000)."""
    learning_rate: float | None = None
    """Peak of AdamW's one-cycle learning rate (ours: 5e-3); of Adam at first, a hundredth less every 100 epochs
    (published: 0.0008)."""
    weight_decay: float | None = None
    """Decoupled weight decay (ours: 0.1), or of Adam, as a penalty (published: 0.00001)."""
    data: Path | None = None
    """Waveform file made by prepare_waveforms.py; none: the embedded synthetic default."""
    test_share: float = 0.2
    """Share of the events that training never sees, to report on; 0 trains on all."""
    seed: int = 0
    """Seed of the splits, the weights, the order of batches and the synthetic data."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    threads: int = 2
    """Threads of the CPU; the default was the fastest on two cores."""
    checkpoint_every: float = 10.0
    """Seconds between savings of the state that --resume goes on from."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted run to go on with; its options are kept, others given here are refused."""


@dataclass(frozen=True)
class GenerateConfig:
    """Options of ``generate_points.py``."""

    output: Path
    """HDF5 file to write; until it is whole it waits in the folder OUTPUT.parts beside it, and the same command goes on
    with it. Maps go beside it as .png."""
    run: str = "latest"
    """Run folder, pretrained, or latest: the newest complete run below runs/cgm_gm, or else the pretrained model."""
    mag: float | None = None
    """Magnitude of the earthquake; as the other three a column of --points may have it instead."""
    source_lat: float | None = None
    """Latitude of the hypocentre in degrees."""
    source_lon: float | None = None
    """Longitude of the hypocentre in degrees."""
    depth: float | None = None
    """Depth of the hypocentre in km."""
    grid: tuple[int, int] = (100, 100)
    """Points from south to north and from west to east."""
    region: tuple[float, float, float, float] | None = None
    """South, north, west, east of the grid in degrees; default: the box about the training stations."""
    points: Path | None = None
    """CSV of points instead of a grid: station_lat, station_lon, and by choice mag, source_lat, source_lon, depth,
    station_id, event_id."""
    realizations: int = 1
    """Waveforms for every point."""
    seed: int = 0
    """Seed of what is random; the same seed gives the same record, whatever the batch."""
    batch: int = 256
    """Waveforms written before the progress is saved."""
    mseed: Path | None = None
    """New folder for the waveforms as miniSEED too, a file for every point, with stations.xml, event.xml and
    points.csv; needs ObsPy."""
    origin_time: str | None = None
    """Of the earthquake, UTC, as 2026-01-31T12:00:00, for --mseed; default 1970-01-01; others follow an hour apart."""
    maps: bool = True
    """Draw maps of the Fourier amplitudes, if all points are of one earthquake."""
    baseline: str | None = None
    """Run folder of a distance-only generator (train_cgm.py --tcondvar 4 --backbone ergodic), whose median is drawn
    beside; it generates as many waveforms again and keeps none."""
    coastline: Path | None = None
    """CSV of lines to draw, columns lat and lon, an empty row after each; default: a rough Bay Area, none elsewhere."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    threads: int = 1
    """Threads of the CPU; the default was the fastest on two cores."""
    engine: Literal["local", "ray"] = "local"
    """local: in this process; ray: on a Ray cluster, the same waveforms to the last bit where machines are alike."""
    workers: int = 2
    """Blocks of waveforms that are computed at a time on Ray."""
    address: str | None = None
    """Of a running Ray cluster, HOST:PORT or auto; none: one is started on this machine."""
    restart: bool = False
    """Drop what an interrupted run with other options has left in OUTPUT.parts."""


@dataclass(frozen=True)
class SearchConfig:
    """Options of ``train_hyperopt.py``."""

    tcondvar: Literal[0, 1, 2, 3, 4] = 2
    """Conditions, as of train_cgm.py; 4 is the distance-only baseline."""
    network: Literal["ours", "published"] = "ours"
    """Which network to search for: ours, or the published one in its published space."""
    free_running: bool = False
    """As of train_cgm.py, of the published network."""
    max_evals: int = 30
    """Trials."""
    epochs: int | None = None
    """Passes over the training records in every trial (ours: 15; published: 60)."""
    backbone: Literal["spatial", "ergodic"] = "spatial"
    """Level to start from, as of train_cgm.py."""
    precision: Literal["float32", "bf16"] = "float32"
    """As of train_cgm.py, of our network."""
    data: Path | None = None
    """Waveform file made by prepare_waveforms.py; none: the embedded synthetic default."""
    test_share: float = 0.2
    """Share of the events that the search never looks at; the same as train_cgm.py sets apart."""
    validation_share: float = 0.2
    """Share of the remaining events by which trials are judged."""
    seed: int = 0
    """Seed of the splits, the proposals, the weights and the synthetic data."""
    engine: Literal["local", "ray"] = "local"
    """local: one trial after the other in this process; ray: several at a time, on a Ray cluster."""
    workers: int = 2
    """Trials at a time on Ray."""
    address: str | None = None
    """Of a running Ray cluster, HOST:PORT or auto; none: one is started on this machine for the search."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    threads: int = 2
    """Threads of the CPU; the default was the fastest on two cores."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted search to go on with; its options are kept, others given here are refused."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of ``test_best_model.py``."""

    run: str = "latest"
    """Run folder, or latest: the newest complete run below runs/cgm_gm. It is judged on its held-out events."""
    data: Path | None = None
    """Waveform file of the run, where it has been moved, or another, all of whose records are then judged; none: where
    the run has read it."""
    samples: int = 100
    """Waveforms generated for every record."""
    max_records: int = 1000
    """Records to judge; of more, so many are drawn. 0: all."""
    baseline: str | None = None
    """Run folder of train_cgm.py --tcondvar 4 --backbone ergodic, the distance-only baseline; default: trained here, by
    the run's own recipe."""
    skip_baseline: bool = False
    """Go without the distance-only baseline."""
    published_run: str | None = None
    """Run folder of train_cgm.py --network published, to compare with."""
    picker: Literal["auto", "phasenet", "ar"] = "auto"
    """Who picks P and S. phasenet: PhaseNet through SeisBench, of --picker-weights or downloaded; ar: ObsPy's
    autoregressive picker; auto: phasenet if weights are given, else ar."""
    picker_weights: Path | None = None
    """Weights of PhaseNet as SeisBench saves them, .pt or .json."""
    picker_records: Path | None = None
    """HDF5 of three-component records with analysts' picks, to judge PhaseNet itself."""
    seed: int = 0
    """Seed of what is generated and drawn."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto is cuda where there is a GPU."""
    threads: int = 1
    """Threads of the CPU; the default was the fastest on two cores."""
    output: Path | None = None
    """Run folder, new or empty; by default below runs, named after the time and the seed."""
    resume: Path | None = None
    """Run folder of an interrupted evaluation to go on with; its options are kept, others given here are refused."""

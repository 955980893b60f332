"""The formats of tables that are read as text, but for flatfiles, each with a sound file of a few rows."""

from pathlib import Path

import numpy as np
import pandas as pd
from input_corruptions import Cells
from input_oracle import Column, Reading, TableFormat
from made_segments import made_table

from cgm_gm import catalogues, maps, points
from cgm_gm.onsets import read_layers
from cgm_gm.quality import Rejected
from ml4szeq.catalogue import read_catalogue
from ml4szeq.map_tables import read_predictions, read_relevances
from ml4szeq.rotation import read_poles
from ml4szeq.segments import read_segments
from ml4szeq.trench_lines import read_trenches

LAT, LON, DEPTH = (-90.0, 90.0), (-180.0, 360.0), (0.0, 800.0)
OWN_IDS = {"event_id": "event_id", "station_id": "station_id"}


# --- cgm_gm ----------------------------------------------------------------------------------------------------------
BAY = {"lat": (37.0, 38.5), "lon": (-123.0, -121.0)}
CARD = {"ranges": {f"{of}_{name}": limits for of in ("source", "station") for name, limits in BAY.items()}}


def _points(path: Path) -> Reading:
    return Reading(points.scenarios(points.read(path), {}, CARD, str(path)))


def _point_table() -> TableFormat:
    table = pd.DataFrame(
        {
            "station_id": ["001", "002", "3"], "event_id": ["e", "e", "f"], "mag": [3.5, 3.5, 4.0],
            "source_lat": [37.5, 37.5, 37.6], "source_lon": [-122.0, -122.0, -122.2], "depth": [8.0, 8.0, 5.0],
            "station_lat": [37.8, 37.9, 37.7], "station_lon": [-122.3, -122.1, -121.9],
        }
    )  # fmt: skip
    columns = {"mag": Column("mag", limits=(-3.0, 10.0)), "depth": Column("depth", limits=DEPTH)}
    columns |= {name: Column(name, limits=LAT if name.endswith("lat") else (-180.0, 180.0)) for name in
                ("source_lat", "source_lon", "station_lat", "station_lon")}  # fmt: skip
    swapped = (("source_lat", "source_lon"), ("station_lat", "station_lon"))
    return TableFormat(
        "points", "points.csv", Cells.of(table), _points, columns, OWN_IDS, scaled=(("depth", 1000.0),), swapped=swapped
    )


def _events(path: Path) -> Reading:
    found, rejected = [], []
    for each in catalogues.events_of_table(catalogues.read_table(path), path):
        try:
            catalogues.check_event(each)
            found.append(each)
        except Rejected as error:  # as `records_of` does
            rejected.append(str(error))
    names = {"event_id": "event_id", "lat": "lat", "lon": "lon", "depth": "depth", "mag": "mag"}
    rows = pd.DataFrame([{ours: getattr(each, name) for ours, name in names.items()} for each in found], columns=names)
    return Reading(rows, len(rejected), tuple(rejected))


def _event_table() -> TableFormat:
    table = pd.DataFrame(
        {
            "event_id": ["007", "b", "c"], "time": ["2020-05-06T07:08:09.5"] * 3, "magnitude": [3.5, 4.1, 2.9],
            "latitude": [37.8, 37.9, 38.0], "longitude": [-122.2, -122.1, -122.0], "depth_km": [8.0, 5.0, 3.0],
        }
    )  # fmt: skip
    columns = {"mag": Column("magnitude", limits=(-3.0, 10.0)), "depth": Column("depth_km", limits=(-5.0, 750.0))}
    columns |= {"lat": Column("latitude", limits=LAT), "lon": Column("longitude", limits=(-180.0, 180.0))}
    return TableFormat(
        "events", "events.csv", Cells.of(table), _events, columns, {"event_id": "event_id"},
        scaled=(("depth_km", 1000.0),), swapped=(("latitude", "longitude"),), merged=True,
    )  # fmt: skip


def _stations(path: Path) -> Reading:
    rows, rejected = [], []
    for name, place in catalogues.stations_of_table(catalogues.read_table(path), path).items():
        try:
            catalogues.check_place(*place, "station")
            rows.append((name.rpartition(".")[2], *place))
        except Rejected as error:  # as for every record of the station
            rejected.append(str(error))
    return Reading(pd.DataFrame(rows, columns=["name", "lat", "lon"]), len(rejected), tuple(rejected))


def _station_table() -> TableFormat:
    table = pd.DataFrame({"network": ["BK", "BK", "NC"], "station": ["CMB", "007", "A"], "latitude": [38.0, 37.5, 37.0],
                          "longitude": [-120.4, -122.1, -121.7]})  # fmt: skip
    columns = {"lat": Column("latitude", limits=LAT), "lon": Column("longitude", limits=(-180.0, 180.0))}
    return TableFormat(
        "stations",
        "stations.csv",
        Cells.of(table),
        _stations,
        columns,
        {"name": "station"},
        swapped=(("latitude", "longitude"),),
        merged=True,
    )


def _layers(path: Path) -> Reading:
    found = read_layers(path)
    return Reading(pd.DataFrame({"top": found.top, "vp": found.vp, "vs": found.vs}))


def _layer_table() -> TableFormat:
    table = pd.DataFrame({"top": [0.0, 3.0, 17.0], "vp": [3.2, 5.5, 6.9], "vs": [1.5, 3.2, 4.0]})
    columns = {
        "top": Column("top", limits=(0.0, 6400.0)),
        "vp": Column("vp", limits=(1e-9, 30.0)),
        "vs": Column("vs", limits=(1e-9, 30.0)),
    }
    scaled = ((("vp", "vs"), 1000.0), ("top", -1.0), ("vp", 1e-3))
    return TableFormat(
        "layers", "layers.csv", Cells.of(table), _layers, columns, ordered=True, scaled=scaled, swapped=(("vp", "vs"),)
    )


def _outline(path: Path) -> Reading:
    lines = maps.read_outline(path)
    return Reading(pd.DataFrame(np.concatenate(lines) if lines else np.zeros((0, 2)), columns=["lat", "lon"]))


def _outline_table() -> TableFormat:
    table = pd.DataFrame({"lat": [37.0, 37.1, 37.2, 37.3], "lon": [-122.0, -122.1, -122.3, -122.2]})
    columns = {"lat": Column("lat", limits=LAT), "lon": Column("lon", limits=LON)}
    return TableFormat(
        "coastline",
        "coast.csv",
        Cells.of(table),
        _outline,
        columns,
        ordered=True,
        counted=False,
        swapped=(("lat", "lon"),),
    )


# --- ml4szeq ---------------------------------------------------------------------------------------------------------
def _segments(path: Path) -> Reading:
    return Reading(read_segments([path]).table)


def _segment_table() -> TableFormat:
    table = made_table(("sam",), 5).round(4)
    columns = {name: Column(name) for name in ("along_km", "DXT_200", "V_TN", "AGE")}
    columns |= {"segment": Column("segment", limits=(-1e6, 1e6)), "MR_GCMT": Column("MR_GCMT", limits=(1.0, 10.0))}
    columns["along_km"] = Column("along_km", instead=("segment", 50.0))
    return TableFormat(
        "segments: ours", "segments.csv", Cells.of(table), _segments, columns, {"region": "region"},
        scaled=(("MR_GCMT", 10.0), ("MR_GCMT", -1.0)),
    )  # fmt: skip


def _published_segments() -> TableFormat:
    table = made_table(("sam",), 5).round(4).drop(columns=["region", "along_km"]).rename(columns={"segment": "index"})
    columns = {name: Column(name) for name in ("DXT_200", "V_TN", "AGE")}
    columns |= {"segment": Column("index", instead=("", 1.0)), "MR_GCMT": Column("MR_GCMT", limits=(1.0, 10.0))}
    return TableFormat("segments: published", "sam.csv", Cells.of(table), _segments, columns, headed=False)


def _trenches(path: Path) -> Reading:
    found = read_trenches(path)
    rows = [{"region": name, "lon": lon, "lat": lat} for name, each in found.items() for lon, lat in each.vertices]
    return Reading(pd.DataFrame(rows))


def _trench_table() -> TableFormat:
    table = pd.DataFrame({"region": ["sam"] * 3 + ["own"] * 2, "lon": [-72.0, -72.5, -73.0, 150.0, 151.0],
                          "lat": [-20.0, -22.0, -25.0, 30.0, 33.0], "downgoing_side": [-1, -1, -1, 1, 1]})  # fmt: skip
    columns = {"lat": Column("lat", limits=LAT), "lon": Column("lon", limits=(-360.0, 360.0))}
    return TableFormat(
        "trenches: CSV", "trenches.csv", Cells.of(table), _trenches, columns, {"region": "region"}, ordered=True,
        swapped=(("lon", "lat"),),
    )  # fmt: skip


def _poles(path: Path) -> Reading:
    rows = [
        {"region": region, "plate": plate, "lat": pole.lat, "lon": pole.lon, "rate": pole.rate}
        for region, pair in read_poles(path).items()
        for plate, pole in (("upper", pair.upper), ("downgoing", pair.downgoing))
        if pole is not None
    ]
    return Reading(pd.DataFrame(rows))


def _pole_table() -> TableFormat:
    table = pd.DataFrame({"region": ["sam", "sam", "ryu"], "plate": ["upper", "downgoing", "upper"],
                          "pole_lat": [10.0, 55.0, -62.0], "pole_lon": [-120.0, -88.0, 100.0],
                          "rate": [0.2, 0.9, 0.3]})  # fmt: skip
    columns = {
        "lat": Column("pole_lat", limits=LAT),
        "lon": Column("pole_lon", limits=(-360.0, 360.0)),
        "rate": Column("rate"),
    }
    return TableFormat(
        "rotation poles", "poles.csv", Cells.of(table), _poles, columns, {"region": "region", "plate": "plate"},
        swapped=(("pole_lat", "pole_lon"),),
    )  # fmt: skip


def _catalogue(path: Path) -> Reading:
    found = read_catalogue(path)
    return Reading(found.table, found.left_out)


def _catalogue_table() -> TableFormat:
    table = pd.DataFrame(
        {
            "event_id": ["tohoku", "0012", "c"],
            "time": ["2011-03-11T05:46:24", "2010-02-27T06:34:14", "1960-05-22"],
            "longitude": [142.86, -72.9, -73.4], "latitude": [38.1, -36.1, -38.2], "depth": [20.0, 22.9, 25.0],
            "mag": [9.1, 8.8, 9.5], "strike": [203.0, 18.0, 10.0], "dip": [10.0, 18.0, 20.0],
            "rake": [88.0, 112.0, 90.0],
        }
    )  # fmt: skip
    columns = {
        "mag": Column("mag", limits=(-2.0, 10.0)),
        "depth": Column("depth", limits=(-5.0, 750.0)),
        "lat": Column("latitude", limits=LAT),
    }
    columns |= {"lon": Column("longitude", lambda lon: lon - 360.0 if lon > 180.0 else lon, (-180.0, 180.0))}
    columns |= {f"{name}1": Column(name, limits=(-360.0, 360.0)) for name in ("strike", "dip", "rake")}
    return TableFormat(
        "catalogue: CSV", "catalogue.csv", Cells.of(table), _catalogue, columns, {"event_id": "event_id"},
        scaled=(("depth", 1000.0), ("depth", -1.0)), swapped=(("latitude", "longitude"),),
    )  # fmt: skip


def _predictions(path: Path) -> Reading:
    table = read_predictions(path)
    return Reading(table.assign(observed=table["observed"].where(table["observed"] >= 0)))  # -1: not known


def _prediction_table() -> TableFormat:
    table = pd.DataFrame(
        {
            "region": ["sam"] * 3 + ["alu"] * 2, "segment": [0, 1, 2, 0, 1], "lon": [-72.0, -72.5, -73.0, 170.0, 171.0],
            "lat": [-20.0, -22.0, -25.0, 51.0, 52.0], "observed": [0, 1, 1, 0, 0], "predicted": [0, 1, 0, 1, 0],
            "prob_below_8": [0.9, 0.2, 0.7, 0.4, 0.6], "prob_8_up": [0.1, 0.8, 0.3, 0.6, 0.4],
        }
    )  # fmt: skip
    columns = {name: Column(name, limits=(0.0, 1.0)) for name in ("prob_below_8", "prob_8_up")}
    columns |= {name: Column(name, limits=(-1.0, 1.0)) for name in ("predicted", "observed")}
    columns |= {"segment": Column("segment"), "predicted": Column("predicted", limits=(-1.0, 1.0))}
    return TableFormat(
        "predictions for maps", "predictions.csv", Cells.of(table), _predictions, columns, {"region": "region"}
    )


def _relevances(path: Path) -> Reading:
    return Reading(read_relevances(path)[0])


def _relevance_table() -> TableFormat:
    table = pd.DataFrame(
        {"region": ["sam"] * 3, "segment": [0, 1, 2], "AGE": [1.0, 2.0, 3.0], "V_TN": [-1.5, 0.25, 0.5]}
    )
    columns = {name: Column(name) for name in ("segment", "AGE", "V_TN")}
    return TableFormat(
        "relevances for maps", "relevances.csv", Cells.of(table), _relevances, columns, {"region": "region"}
    )


MAKERS = (_point_table, _event_table, _station_table, _layer_table, _outline_table, _segment_table)
MAKERS += (_published_segments, _trench_table, _pole_table, _catalogue_table, _prediction_table, _relevance_table)
FORMATS = {made.name: made for made in (make() for make in MAKERS)}

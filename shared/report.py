"""A report of one HTML file: text, tables and figures, in sections with a table of contents.

It needs no other file, no network and no script, prints well, and says on its face when the data are synthetic. Text is
escaped, so that names taken from a file show as they are. Nothing is written here: `shared.runs.write_text` does that.
"""

import base64
import html
import io
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shared.plotting import COLOURS

Best = Literal["low", "high"]  # which value of a column is the best
# of a cell, by whether it is text and whether it is the best
CLASSES = {(0, 0): "", (1, 0): ' class="text"', (0, 1): ' class="best"', (1, 1): ' class="text best"'}

STYLE = f"""
:root {{ color-scheme: light; }}
body {{ font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; max-width: 72rem; margin: 0 auto;
  padding: 1.5rem; color: #1a1a1a; background: #fff; }}
h1 {{ line-height: 1.2; margin-bottom: 0; }}
h2 {{ border-bottom: 2px solid {COLOURS[0]}; margin-top: 2.5rem; padding-bottom: .2rem; }}
p, li {{ max-width: 48rem; }} a {{ color: {COLOURS[0]}; }}
.subtitle {{ color: #444; margin-top: .3rem; }}
.synthetic {{ border: 3px solid {COLOURS[1]}; color: #7a3600; font-weight: 700; padding: .6rem 1rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .85rem; }}
dt {{ color: #444; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
nav ol {{ columns: 2; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; margin: .5rem 0 1.2rem; }}
caption, figcaption {{ color: #444; font-size: .85rem; text-align: left; padding-bottom: .3rem; }}
th, td {{ padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }}
th {{ border-bottom: 2px solid #888; vertical-align: bottom; }}
th.text, td.text {{ text-align: left; }}
td.best {{ background: #dcebf7; font-weight: 700; }}
figure {{ margin: 1rem 0 1.5rem; }} img {{ max-width: 100%; height: auto; }}
@page {{ size: landscape; margin: 12mm; }}
@media print {{
  body {{ font-size: 10pt; max-width: none; padding: 0; }}
  table {{ font-size: 7.5pt; }}
  th, td {{ padding: .1rem .3rem; }}
  h2 {{ break-after: avoid; }}
  figure, tr {{ break-inside: avoid; }}
  .scroll {{ overflow: visible; }}
  td.best {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""


class Report:
    """A growing report. What is added goes into the last section; every method returns the report itself.

    Parameters
    ----------
    title, subtitle
        What the report is about, and a line below it.
    provenance
        What made it, as names and values below the title: command, commit, data and their SHA-256.
    synthetic
        Whether the data are; a banner says so.
    """

    def __init__(
        self, title: str, subtitle: str = "", *, provenance: Mapping[str, object] | None = None, synthetic: bool
    ) -> None:
        self.title, self.subtitle, self.synthetic = title, subtitle, synthetic
        self.provenance = dict(provenance or {})
        self._sections: list[str] = []
        self._body: list[str] = []

    def section(self, heading: str) -> Self:
        """Begin a section, which the table of contents lists."""
        self._sections.append(heading)
        self._body.append(f'<h2 id="section-{len(self._sections)}">{html.escape(heading)}</h2>')
        return self

    def paragraph(self, text: str) -> Self:
        """Add a paragraph of plain text."""
        self._body.append(f"<p>{html.escape(text)}</p>")
        return self

    def bullets(self, items: Iterable[str]) -> Self:
        """Add a list of plain texts."""
        self._body.append("<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>")
        return self

    def links(self, items: Iterable[tuple[str, str, str]]) -> Self:
        """Add a list of files to open: what each is, its path relative to the report's own, and a remark."""
        shown = [
            f'<li><a href="{html.escape(urllib.parse.quote(path))}">{html.escape(text)}</a> {html.escape(remark)}</li>'
            for text, path, remark in items
        ]
        self._body.append(f"<ul>{''.join(shown)}</ul>")
        return self

    def table(
        self,
        table: pd.DataFrame,
        caption: str = "",
        *,
        digits: int = 3,
        best: Mapping[str, Best] | None = None,
        within: str | Sequence[str] | None = None,
    ) -> Self:
        """Add a table without its index.

        Parameters
        ----------
        table
            Numbers that are not whole are shown with ``digits`` decimals, missing values as a dash.
        best
            Columns in which the lowest or the highest value is marked; ties are all marked.
        within
            Column or columns whose values the best is sought for, each apart: a period, a component.

        Raises
        ------
        KeyError
            ``best`` or ``within`` names a column that ``table`` lacks.
        """
        marked = _best_cells(table, best or {}, [within] if isinstance(within, str) else list(within or []))
        text = [not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
        columns = [_column(table.iloc[:, j], digits) for j in range(table.shape[1])]
        head = "".join(
            f'<th scope="col"{CLASSES[left, False]}>{html.escape(str(name)).replace("_", "_<wbr>")}</th>'
            for name, left in zip(table.columns, text, strict=True)
        )
        rows = [
            "".join(
                f"<td{CLASSES[text[j], marked[i, j]]}>{html.escape(column[i])}</td>" for j, column in enumerate(columns)
            )
            for i in range(len(table))
        ]
        self._body.append(
            f'<div class="scroll"><table><caption>{html.escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
            "<tbody>\n" + "\n".join(f"<tr>{row}</tr>" for row in rows) + "\n</tbody></table></div>"
        )
        return self

    def figure(
        self, figure: Figure | bytes, caption: str, *, alt: str = "", kind: Literal["png", "svg"] = "png"
    ) -> Self:
        """Embed a matplotlib figure; ``alt`` says in words what it shows (default: the caption).

        A figure that has been saved as ``kind`` may be given as the bytes of its file, so that it is drawn once.
        SVG stays sharp, but grows with every point that is drawn: PNG where there are thousands.
        """
        if isinstance(figure, Figure):
            content = io.BytesIO()
            about = {"Date": None} if kind == "svg" else None
            figure.canvas.print_figure(content, format=kind, dpi=130, metadata=about)
            figure = content.getvalue()
        data = base64.b64encode(figure).decode("ascii")
        image = f"data:image/{'svg+xml' if kind == 'svg' else kind};base64,{data}"
        self._body.append(
            f'<figure><img src="{image}" alt="{html.escape(alt or caption)}">\n'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
        return self

    def html(self) -> str:
        """The whole report as one HTML page."""
        title = html.escape(self.title)
        banner = (
            '<p class="synthetic" role="note">SYNTHETIC DATA: these results say nothing about real earthquakes.</p>'
        )
        about = "".join(
            f"<dt>{html.escape(str(name))}</dt><dd>{html.escape(str(value))}</dd>"
            for name, value in self.provenance.items()
        )
        contents = "".join(
            f'<li><a href="#section-{number}">{html.escape(heading)}</a></li>'
            for number, heading in enumerate(self._sections, start=1)
        )
        parts = [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{STYLE}</style></head><body>",
            banner if self.synthetic else "",
            f"<header><h1>{title}</h1>",
            f'<p class="subtitle">{html.escape(self.subtitle)}</p>' if self.subtitle else "",
            f"<dl>{about}</dl>" if about else "",
            "</header>",
            f'<nav aria-label="contents"><ol>{contents}</ol></nav>' if contents else "",
            "<main>",
            *self._body,
            "</main></body></html>\n",
        ]
        return "\n".join(part for part in parts if part)


def _column(values: pd.Series, digits: int) -> list[str]:
    """The cells of a column as text."""
    if pd.api.types.is_float_dtype(values.dtype):
        known = values.dropna()
        whole = len(known) and np.isfinite(known).all() and (known == known.round()).all()
        return ["–" if pd.isna(value) else f"{value:,.{0 if whole else digits}f}" for value in values]
    whole = pd.api.types.is_integer_dtype(values.dtype)
    return ["–" if pd.isna(value) else f"{value:,}" if whole else str(value) for value in values]


def _best_cells(table: pd.DataFrame, best: Mapping[str, Best], within: list[str]) -> np.ndarray:
    """Which cells hold the best value of their column, in the whole table or among the rows alike in ``within``."""
    marked = np.zeros(table.shape, dtype=bool)
    for name, which in best.items():
        values = table[name].reset_index(drop=True)
        groups = values.groupby([table[key].to_numpy() for key in within]) if within else None
        extreme = "min" if which == "low" else "max"
        reached = groups.transform(extreme) if groups is not None else getattr(values, extreme)()
        marked[:, table.columns.get_loc(name)] = (values == reached).to_numpy()
    return marked

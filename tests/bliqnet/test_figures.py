"""Figures of real records are not called synthetic."""

from bliqnet.data import records_of
from bliqnet.figures import observed_predicted
from shared import synthetic
from shared.reference_gmm import Prediction
from shared.summaries import summary_table

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")


def test_figure_of_real_records_does_not_call_them_synthetic():
    records = records_of(synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=30, n_rows=600, columns=COLUMNS)))
    spectra = Prediction(records.ln_sa.copy(), records.ln_sa, records.ln_sa)
    for synthetic_data in (True, False):
        figure = observed_predicted(
            records, spectra, summary_table(records.table, records.ln_sa, records.columns, spectra), synthetic_data
        )
        assert ("SYNTHETIC DATA" in {text.get_text() for text in figure.texts}) == synthetic_data

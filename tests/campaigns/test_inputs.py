"""The short profile of the bad-input campaign: some cases of every format, the same ones each time."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from inputs import FORMATS, Bench

CASES = 12  # of a format


@pytest.mark.parametrize("name", FORMATS)
def test_corrupted_files_are_refused_clearly_or_read_rightly(name: str, tmp_path: Path):
    bench = Bench(name, tmp_path)

    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bench.cases)
    def judge(case):
        verdict = bench.judge(case)
        assert verdict.outcome in ("refused", "read"), f"{case.what} {case.at}: {verdict.said}"

    judge()

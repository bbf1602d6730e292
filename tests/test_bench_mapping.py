"""The benchmark of crossbar cores: its page is what its records say, and they say what is asked."""

from __future__ import annotations

import json

from bench.mapping import IMAGES, PAGE, PUBLISHED, RESULTS, page


def test_the_page_is_that_of_the_records() -> None:
    records = json.loads(RESULTS.read_text())
    assert list(records) == list(IMAGES)
    assert PAGE.read_text() == page(records)


def test_what_was_measured_is_within_its_limits() -> None:
    for name, record in json.loads(RESULTS.read_text()).items():
        assert record["difference"] is None
        assert record["cores"] <= 1.25 * record["bound"]
        assert record["bound"] >= max(record["neurons"], record["synapses"])
        if name in PUBLISHED:
            assert all(timing["latency"] <= PUBLISHED[name] for timing in record["timings"])
        changed, of = record["changed"]
        assert 0 < changed <= of < record["cores"]

"""Figures as text, and what a process counts of its requests."""

import os

from regulars.kit.measures import Figure, RequestMeasures, exposition, gauge, gauges, of_this_process


def test_figures_become_lines_with_their_kind_and_meaning() -> None:
    assert exposition([gauge("jobs_oldest_seconds", "Age.", 1.5), gauges("jobs", "Jobs.", "state", {"failed": 2})]) == (
        "# HELP regulars_jobs_oldest_seconds Age.\n"
        "# TYPE regulars_jobs_oldest_seconds gauge\n"
        "regulars_jobs_oldest_seconds 1.5\n"
        "# HELP regulars_jobs Jobs.\n"
        "# TYPE regulars_jobs gauge\n"
        'regulars_jobs{state="failed"} 2\n'
    )


def test_a_label_stays_inside_its_quotes() -> None:
    figure = Figure("x", "gauge", "X.", [("", {"a": 'q"\\\n'}, 1e15)])
    assert exposition([figure]).splitlines()[-1] == r'regulars_x{a="q\"\\\n"} 1000000000000000'


def test_requests_fall_into_buckets_that_add_up() -> None:
    measures = RequestMeasures()
    for seconds in (0.005, 0.0051, 0.2, 99):
        measures.count(method="GET", route="/api/v1/orders/{order_id}", status=200, seconds=seconds)
    text = exposition(measures.figures(in_flight=3, shed=7))
    labels = '{method="GET",route="/api/v1/orders/{order_id}",status="200"'
    counts = [int(line.split()[-1]) for line in text.splitlines() if "_bucket" in line]
    assert counts == [1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4]
    assert f'regulars_request_seconds_bucket{labels},le="+Inf"}} 4' in text
    assert f"regulars_request_seconds_count{labels}}} 4" in text
    assert f"regulars_request_seconds_sum{labels}}} 99.2101" in text
    assert "regulars_requests_in_flight 3\n" in text
    assert "regulars_requests_shed_total 7\n" in text


def test_figures_of_a_process_say_which() -> None:
    text = exposition(of_this_process([gauge("x", "X.", 1), gauges("y", "Y.", "state", {"open": 2})]))
    own = f'process="{os.getpid()}"'
    assert f"regulars_x{{{own}}} 1\n" in text
    assert f'regulars_y{{state="open",{own}}} 2\n' in text


def test_what_strangers_send_becomes_no_label() -> None:
    measures = RequestMeasures()
    for number in range(100):
        measures.count(method=f"X{number}", route=None, status=404, seconds=0)
    text = exposition(measures.figures(in_flight=0, shed=0))
    assert text.count("_count{") == 1
    assert 'method="other",route="none"' in text

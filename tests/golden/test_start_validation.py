"""Published starts against the model, as it is; by source, some held apart from every fit."""

from __future__ import annotations

import dataclasses

import pytest

from frontier.charts.validation_chart import validation_table
from frontier.errors import InputError, TableError
from frontier.start.predict import start_inputs_for
from frontier.start.validate import (
    cases_like,
    read_cases,
    start_comparisons,
    validate_start,
)
from frontier.tables import DATA_DIR, load_tables
from frontier.validation import overall, report, summarise

TABLES = load_tables()
RESULTS = validate_start(TABLES)
HELD_APART = [result for result in RESULTS if not result.used_in_fit]


def test_no_number_of_the_model_comes_from_a_source_that_is_held_apart():
    """Rows are split by source: a page that gave one rate gives no case that checks it."""
    held = {result.case.source_id for result in HELD_APART}
    for name in ("coefficients", "hosts", "storage", "loaders", "kernels", "restores", "engines"):
        for row in getattr(TABLES, name).values():
            assert row.source_id not in held, (name, row)
    fitted = {t.source_id for t in TABLES.stage_timings.values() if t.role == "fit"}
    assert not held & fitted
    assert not fitted & {t.source_id for t in TABLES.stage_timings.values() if t.role == "check"}
    # A platform's row may name the page that says how it works, but not one that timed it.
    assert not held & {p.source_id for p in TABLES.platforms.values()}


def test_no_timing_is_both_fitted_and_predicted():
    """The timings of a case that is held apart are marked so, and none is marked in vain."""
    used = {timing for result in HELD_APART for timing in result.case.timings}
    kept_back = {t.timing_id for t in TABLES.stage_timings.values() if t.role == "check"}
    assert used <= kept_back
    assert len(used) > 20
    for result in RESULTS:
        assert {TABLES.stage_timings[t].source_id for t in result.case.timings} <= {
            result.case.source_id,
            "upb-profiler",
        }


def test_each_case_is_the_time_its_source_published():
    """A case of one timing is that timing; a case of stages is their sum."""
    whole = ("ready", "first_token", "weights")
    for case in TABLES.validation_cases.values():
        timings = [TABLES.stage_timings[timing] for timing in case.timings]
        measured = [float(text) for text in case.measured_s]
        if all(timing.stage in whole for timing in timings):
            assert measured == [timing.seconds for timing in timings], case.case_id
        else:
            parts = [t.seconds for t in timings if t.stage not in whole]
            assert measured == [pytest.approx(sum(parts))], case.case_id


def test_starts_nobody_fitted_are_predicted_within_the_errors_stated():
    """Median error at most 25 % where host and storage are known, 35 % on opaque platforms.

    Single cases are worse, and stay in the table: a platform that took ten minutes, a disk that
    read a quarter of a gigabyte a second with every cache dropped, a minute of checking links.
    """
    errors = {(e.group, e.used_in_fit): e for e in summarise(start_comparisons(RESULTS))}
    for group, allowed, least in (("known", 0.25, 6), ("opaque", 0.35, 6)):
        held = errors[group, False]
        assert held.cases >= least
        assert held.median_error <= allowed, held
        assert abs(held.bias) <= allowed, held


def test_starts_and_loaders_that_were_fitted_are_given_back():
    """What a number was made from comes out again: 15 % in the median, loaders alike."""
    for errors in summarise(start_comparisons(RESULTS)):
        if errors.used_in_fit:
            assert errors.median_error <= 0.15, errors


def test_the_table_of_cases_has_the_columns_that_speeds_share():
    """One row a case, those held apart first, the error signed."""
    table = validation_table(start_comparisons(RESULTS))
    shared = "kind group label predicted measured unit signed_error used_in_fit source_id"
    assert set(shared.split()) <= set(table.columns)
    assert len(table) == len(RESULTS)
    assert not table["used_in_fit"].iloc[: len(HELD_APART)].any()
    assert (table["predicted"] / table["measured"] - 1).tolist() == pytest.approx(
        table["signed_error"].tolist()
    )


def test_a_start_is_told_how_far_off_its_like_were():
    """Assumed stages make it like the opaque ones; known ones like the known."""
    told = start_inputs_for("sagemaker", "Qwen3-8B", "L4", "bf16", tables=TABLES)
    known = dataclasses.replace(told, host="gke-l4-node", storage="local-ssd", loader="mmap")
    # The network volume's rate is an assumption.
    opaque = dataclasses.replace(known, storage="network-volume")
    assert cases_like(opaque.predict(TABLES), RESULTS).group == "opaque"
    errors = cases_like(known.predict(TABLES), RESULTS)
    assert (errors.group, errors.used_in_fit) == ("known", False)
    with pytest.raises(InputError, match="held apart"):
        cases_like(known.predict(TABLES), [r for r in RESULTS if r.used_in_fit])


def test_the_report_names_every_case_and_the_error_of_every_group():
    """One line a case with both times, one line a group with the median and the worst."""
    said = report(start_comparisons(RESULTS))
    for result in RESULTS:
        line = next(row for row in said.splitlines() if row.startswith(result.case.case_id + " "))
        assert f"{result.measured_s:.4g} s" in line
        assert f"{result.predicted_s:.4g} s" in line
    rows = start_comparisons(RESULTS)
    groups = (*summarise(rows), *overall(rows))
    assert said.count("median absolute error") == len(groups)
    assert said.index("kept back") < said.index("used in a fit")


def test_a_file_of_cases_is_read_as_the_shipped_one_is():
    """The shipped cases, read by path, give the shipped results."""
    cases = read_cases(DATA_DIR / "validation_cases.csv")
    assert validate_start(TABLES, cases) == RESULTS


def test_a_wrong_case_is_refused_with_file_row_and_column(tmp_path):
    """A time that is no number, or an unlisted model without its shape, says what is missing."""
    text = (DATA_DIR / "validation_cases.csv").read_text(encoding="utf-8")
    header, first, *_ = text.splitlines()
    assert first.startswith("l40s-falcon-7b,same-machine,fit,24.0314,")
    path = tmp_path / "mine.csv"
    path.write_text(f"{header}\n{first.replace('24.0314', 'quick')}\n", encoding="utf-8")
    with pytest.raises(TableError, match="measured_s"):
        read_cases(path)
    path.write_text(f"{header}\n{first.replace('same-machine', 'mine')}\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"mine\.csv, row 2, column group"):
        read_cases(path)
    unlisted = first.replace("Falcon-7B", "My-7B").replace(",7.2,,32,dense,14.4,", ",,,,,,")
    path.write_text(f"{header}\n{unlisted}\n", encoding="utf-8")
    with pytest.raises(InputError, match="must give architecture, checkpoint_gb"):
        validate_start(TABLES, read_cases(path))


def test_a_file_of_cases_may_leave_out_what_need_not_be_known(tmp_path):
    """Columns that may be empty may be absent; the platform's defaults stand for them."""
    path = tmp_path / "mine.csv"
    path.write_text(
        "case_id,group,measured_s,start_at,platform,model,gpu,precision,gpus,basis,source_id,"
        "reason\n"
        "mine,opaque,80,allocate,modal,Qwen3-4B,L4,bf16,1,measured,tandemn-tuna,own\n",
        encoding="utf-8",
    )
    (result,) = validate_start(TABLES, read_cases(path))
    alike = next(r for r in RESULTS if r.case.case_id == "modal-qwen3-4b")
    assert result.predicted_s == pytest.approx(alike.predicted_s)
    assert not result.used_in_fit

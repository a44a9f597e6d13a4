"""Bills and lists of starts as people keep them: what they come to, or a sentence."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from frontier.errors import InputError
from frontier.models.config import read_model_config
from frontier.prices.upload import read_prices
from frontier.reality import read_bill
from frontier.start.log import read_start_log
from frontier.tables import load_tables

TABLES = load_tables()
DAYS = range(1, 31)


def bill(header, write, *below):
    return "\n".join([header, *map(write, DAYS), *below, ""]).encode()


OWN = {
    "German": bill("Datum;Kosten", "{0:02}.10.2026;12,50".format, "Summe;375,00"),
    "a sum without a name": bill("date,cost", "2026-10-{0:02},12.5".format, ",375"),
    "months first": bill("Date,Cost", "10/{0:02}/2026,12.5".format),
    "days first": bill("Date,Cost", "{0:02}/10/2026,12.5".format),
}


@pytest.mark.parametrize("name", OWN)
def test_a_bill_of_ones_own_comes_to_its_rows(name):
    """Thirty days of October at 12.5 each, however days are written and whatever sums them up."""
    cost = OWN[name].decode().splitlines()[0].replace(";", ",").split(",")[1]
    paid = read_bill(OWN[name], TABLES, cost_column=cost)
    assert (paid.hours, paid.period) == (720, "2026-10-01 to 2026-10-30")
    # A last row of another name may be paid for something: it is kept and said, or left out.
    assert sum(paid.usd_by_kind.values()) == pytest.approx(375)


@pytest.mark.parametrize(
    ("form", "order"), [("10/{0:02}/2026", "month"), ("{0:02}/10/2026", "day")]
)
def test_days_that_may_be_months_are_of_the_fewest_months_and_it_is_said(form, order):
    """Ten days of one month are likelier than one day of ten."""
    rows = "".join(f"{form.format(day)},5\n" for day in range(1, 11))
    paid = read_bill(f"Date,Cost\n{rows}".encode(), TABLES, cost_column="Cost")
    assert paid.period == "2026-10-01 to 2026-10-10"
    assert any(f"read with the {order} first" in text for text in paid.assumed)


def test_a_column_of_months_tells_of_several_months():
    """Two months are not one of both: which one counts is asked."""
    with pytest.raises(InputError, match="2 months: 2026-09, 2026-10"):
        read_bill(b"Month,Amount\n2026-09,400\n2026-10,500\n", TABLES, cost_column="Amount")


def test_half_a_month_is_no_month_where_a_known_format_names_its_dates_otherwise():
    """RunPod's columns with 'timestamp' for the time: fifteen days, scaled to a month."""
    rows = "".join(f"2026-10-{day:02}T00:00:00Z,p,47.76,86400000\n" for day in range(1, 16))
    paid = read_bill(f"timestamp,podId,amount,timeBilledMs\n{rows}".encode(), TABLES)
    assert (paid.hours, paid.gpu_h) == (360, 360)


def test_a_name_of_brackets_does_not_stall_the_reader_of_bills():
    """Thirty thousand of them in one cell took three seconds, the square of their number."""
    begun = time.process_time()
    content = f"date,{'(' * 30_000},cost\n2026-10-01,x,5\n2026-10-02,x,5\n".encode()
    read_bill(content, TABLES, cost_column="cost")
    assert time.process_time() - begun < 1.0


STARTS = (43.2, 51.7, 47.9)


@pytest.mark.parametrize(
    "text",
    [
        "run,seconds\n1,43.2\n2,51.7\n3,47.9\n",
        "seconds;note\n43,2;cold\n51,7;cold\n47,9;warm\n",
        "pod\tstart_s\na\t43.2\nb\t51.7\nc\t47.9\n",
        "0.72 min\n51.7 s\n47.9s\n",
    ],
)
def test_a_list_of_starts_is_its_column_of_seconds(text):
    """Numbers of runs are no starts, and a minute has sixty seconds."""
    read = read_start_log(text)
    assert read.runs_s["total"] == pytest.approx(STARTS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,43.2\n2,51.7\n3,47.9\n", "begins with its number"),
        ("1. 43.2\n2. 51.7\n", "begins with its number"),
        ("first s,second s\n43.2,51.7\n", "not clear which one holds the seconds"),
        ("run,seconds\n1,43.2\n2\n", "not clear which one holds the seconds"),
        ("1e300\n43.2\n", "Is 1.00000000000e300 seconds"),
    ],
)
def test_numbers_that_may_be_no_starts_are_refused(text, says):
    """One start more of each line, or of the wrong column, would be wrong without a word."""
    with pytest.raises(InputError, match=says) as refused:
        read_start_log(text)
    assert len(str(refused.value)) < 400


def prices(text):
    return read_prices(text.encode(), tables=TABLES, today=dt.date(2026, 11, 27))


ROWS = "X,H100 SXM,2.5,usd/gpu/h\nX,H200,3.5,usd/gpu/h\n"


def test_a_price_table_below_a_title_and_with_marks_nobody_sees_is_read():
    """A line of words above, and a name with a blank of no width in it."""
    upload = prices(f"Our prices\n\nprovi\u200bder,\u200fgpu,price,unit\n{ROWS}")
    assert [offer.usd_per_gpu_h for offer in upload.offers] == [2.5, 3.5]
    assert any("Our prices" in text for text in upload.warnings)


def test_prices_as_json_are_told_from_a_table_without_rows():
    with pytest.raises(InputError, match="this one is JSON or XML"):
        prices('[{"provider": "X", "gpu": "H100", "price": 2.5}]')


def test_a_quantisation_that_is_only_a_word_is_not_left_out():
    """Sizes of 16 bits would be wrong by two without a word."""
    with pytest.raises(InputError, match=r"quantization_config: expected an object .* 'fp8'"):
        read_model_config(
            '{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, '
            '"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, '
            '"vocab_size": 128256, "quantization_config": "fp8"}',
            TABLES,
        )

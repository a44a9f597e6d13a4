"""A scenario file of another version is read where it can be, and else refused in words."""

from __future__ import annotations

import datetime as dt
import json
from types import MappingProxyType

import pytest

from frontier.company import company_of
from frontier.edits import Edit, ScenarioFile, read_scenario, scenario_json
from frontier.errors import InputError
from frontier.tables import load_columns, load_tables

TABLES = load_tables()
CHOICES = {"limit": "5.0", "company": "Acme", "currency": "EUR", "rate": "0.9"}
EDIT = Edit("offers", "modal-l40s", "usd_per_gpu_h", "1.5")
OPTIONAL = [one.column for one in load_columns()["offers"] if not one.required]


def written(**changed):
    """Return a file with an own offer, read as JSON, with some of its parts changed."""
    offer = TABLES.offers["modal-l40s"]
    scenario = ScenarioFile(
        MappingProxyType({**CHOICES, "rate_on": "2026-11-20"}), (EDIT,), (offer,), (), ()
    )
    content = scenario_json(scenario, version="0.1.0", made_on=dt.date(2026, 11, 26))
    return json.loads(content) | changed


def read(found):
    return read_scenario(json.dumps(found).encode(), TABLES)


def test_what_is_written_is_read():
    """Choices, changes and offers come back, and the company from the choices."""
    found = read(written())
    assert found.edits == (EDIT,)
    assert found.offers[0].offer_id == "modal-l40s"
    company = company_of(found.choices, TABLES)
    assert (company.name, company.currency.per_usd) == ("Acme", 0.9)


def test_a_file_from_before_the_company_is_read():
    """Old choices have none of its fields: it is nobody's."""
    found = read(written(choices={"limit": "5.0"}))
    assert company_of(found.choices, TABLES).name == ""


@pytest.mark.parametrize("column", OPTIONAL)
def test_a_column_that_came_later_and_may_be_empty_is_empty_in_an_old_file(column):
    """A file from before a column was added says nothing of it."""
    content = written()
    del content["own_offers"][0][column]
    assert getattr(read(content).offers[0], column) in (None, (), "yours")


def test_the_first_format_is_read_where_it_said_the_same():
    """Choices and changes were written as now; own rules were not."""
    old = written(format=1, version="0.0.1", own_offers=[])
    del old["own_behaviours"]
    assert read(old).choices["limit"] == "5.0"
    with pytest.raises(InputError, match=r"format 1, written by Frontier 0\.0\.1.*price table"):
        read(written(format=1, version="0.0.1"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": 3, "version": "9.0"}, "found 3, written by Frontier 9.0: a newer format"),
        ({"format": 0}, "no format that is known"),
        ({"format": "2"}, "found '2'"),
        ({"format": True}, "found True"),
        ({"format": None}, "found None"),
        ({"format": 3, "version": "a\nb"}, "found 3: a newer format"),
        ({"format": 3, "version": ["x"]}, "found 3: a newer format"),
        ({"choices": {"tax": "900"}}, "The scenario file, tax: expected a number from 0 to 100"),
        ({"choices": {"years": "x"}}, "The scenario file, years: expected"),
        (
            {"choices": {"currency": "eur", "rate": "1", "rate_on": "2026-11-20"}},
            "currency: expected three capital letters",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(changed, said):
    """The sentence says what was found, and of which version where the file tells."""
    with pytest.raises(InputError, match=said):
        read(written(**changed))


def test_a_currency_that_was_still_being_typed_is_no_reason_to_refuse():
    """A file is written at any moment: a code without its rate is kept as it was."""
    assert read(written(choices=CHOICES)).choices["currency"] == "EUR"


def test_columns_of_another_version_are_named():
    """An unknown one, and one that is needed and lacks."""
    more = written()
    more["own_offers"][0]["usd_per_token"] = "1"
    with pytest.raises(InputError, match="found usd_per_token; was it made by a newer one"):
        read(more)
    fewer = written()
    del fewer["own_offers"][0]["usd_per_gpu_h"]
    with pytest.raises(InputError, match="none called usd_per_gpu_h; was it made by an older"):
        read(fewer)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps(written(more=1)), "a part 'more' that is not known"),
        (json.dumps(written())[:-1] + ', "choices": {}}', "'choices' stands twice in the scenario"),
        (json.dumps(written(choices={"days": 7})), "choice 'days': expected a text .* found 7"),
        (json.dumps(written(choices=[])), "found no object"),
        ("a,b\n1,2\n", r"found something that begins with 'a,b\\n1,2\\n'"),
        ("[1]", 'has no "kind": "frontier-scenario"'),
    ],
)
def test_nothing_of_a_file_is_left_out_without_a_word(content, words):
    """A part that is not known, a name with two values, a number for a text: named, not lost."""
    with pytest.raises(InputError, match=words):
        read_scenario(content.encode(), TABLES)

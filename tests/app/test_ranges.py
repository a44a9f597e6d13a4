"""Ranges on the Frontier page: after the first answer, and then everywhere beside the figures."""

from __future__ import annotations


def test_ranges_come_after_the_answer_and_stand_beside_it(open_app):
    """The page is drawn anew with them: headline, cards, the plan and the table of all plans."""
    app = open_app(detail="All plans")
    assert not app.exception
    said = " ".join(element.value for element in (*app.markdown, *app.caption))
    assert "Ranges are for the luck of traffic and starts, at 90 %." in said
    assert "Range by luck: " in said
    assert "lie beyond the p99" in said
    assert " to " in next(
        m.value for m in app.markdown if m.value.startswith("Scale-to-zero costs")
    )
    (table,) = (frame.value for frame in app.dataframe if "With other luck" in frame.value)
    assert {"holds", "misses", ""} <= set(table["With other luck"])

"""How this is computed: what the button beside the headline opens, and that it is closed before."""

from __future__ import annotations


def test_the_button_opens_the_formula_of_the_headline(open_app):
    """One always-on L40S: its GPU-hours by its price, each with where it comes from."""
    app = open_app()
    assert not any("price of a GPU\\-hour" in one.value for one in app.markdown)
    app.button(key="explain_answer").click().run()
    assert not app.exception
    said = [one.value for one in app.markdown]
    (formula,) = [one for one in said if one.startswith("\\(busy \\+ idle\\) ×")]
    assert formula.endswith("= **\\$1,095 a month**")
    (terms,) = [one for one in said if "**\\$1\\.5/GPU\\-h**" in one]
    assert "](<https://" in terms
    assert "from your traffic" in terms

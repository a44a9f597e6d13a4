"""Offers and provider rules: what a price list must be before anybody may trust a bill."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import statistics

import pytest

from frontier.prices import hosting_of, security_of
from frontier.prices.age import newest_release, stale_at_release
from frontier.start.stages import STAGES
from frontier.tables import OWN_SOURCE, load_tables


@pytest.fixture(scope="module")
def tables():
    return load_tables()


def test_enough_offers_of_each_kind_and_size(tables):
    """From an L4 to a B200, serverless and by the hour, there is something to choose."""
    offers = tables.offers.values()
    kinds = {kind: [o for o in offers if o.kind == kind] for kind in ("serverless", "dedicated")}
    for kind in kinds.values():
        assert len(kind) >= 20
        assert {"L4", "L40S", "A100-80GB", "H100-SXM-80GB", "H200", "B200"} <= {o.gpu for o in kind}
    assert 12 <= sum(o.featured for o in offers) <= 24


def test_shapes_and_kinds_make_sense(tables):
    """A machine has at least one GPU, and a name that says how many tells the truth."""
    for offer in tables.offers.values():
        assert 1 <= offer.gpus_min <= offer.gpus_max, offer.offer_id
        count = re.search(r"-(\d+)x(-|$)", offer.offer_id)
        if count:
            assert int(count[1]) == offer.gpus_min == offer.gpus_max, offer.offer_id


def test_prices_are_of_one_order_for_one_gpu(tables):
    """A price per instance taken for one per GPU stands a factor of 8 off: more than 4 is refused.

    Against the median of the same GPU; spot and floors may be low.
    """
    by_gpu = {}
    for offer in tables.offers.values():
        by_gpu.setdefault(offer.gpu, []).append(offer)
    for offers in by_gpu.values():
        middle = statistics.median(o.usd_per_gpu_h for o in offers)
        for offer in offers:
            ratio = offer.usd_per_gpu_h / middle
            assert ratio < 4, offer.offer_id
            if offer.kind != "spot" and offer.price_kind == "list":
                assert ratio > 0.25, offer.offer_id


def test_prices_are_dated_and_not_older_than_two_years(tables):
    """Every price has a date, not after the day it was read."""
    for offer in tables.offers.values():
        read_on = tables.source_of(offer).read_on
        assert read_on - dt.timedelta(days=730) < offer.priced_on <= read_on, offer.offer_id


def test_a_featured_price_is_not_stale_at_the_release(tables):
    """What is listed first was read within 120 days of the release date that stands in data/.

    Never of the clock: a copy of the product stays sound. How old prices may be when they are
    given out anew is a promise of that day; this is how old they may grow until the next.
    """
    release = newest_release(tables)
    assert release.released_on >= max(s.read_on for s in tables.sources.values())
    stale = stale_at_release(tables)
    assert not stale, f"featured prices older than {release.featured_days} days: {stale}"


def test_a_stale_featured_price_is_named(tables):
    """One day over the limit and the offer is told, with its age; not featured, it is not."""
    release = newest_release(tables)
    offer = next(o for o in tables.offers.values() if o.featured)
    day = release.released_on - dt.timedelta(days=release.featured_days)
    for late, featured, found in (
        (1, True, {offer.offer_id: release.featured_days + 1}),
        (0, True, {}),
        (1, False, {}),
    ):
        aged = dataclasses.replace(
            offer, priced_on=day - dt.timedelta(days=late), featured=featured
        )
        changed = dataclasses.replace(tables, offers={**tables.offers, offer.offer_id: aged})
        assert stale_at_release(changed) == found


def test_a_floor_is_no_offer(tables):
    """Nobody can count on a price "as low as" or "from": no shipped price is one."""
    floors = [offer.offer_id for offer in tables.offers.values() if offer.price_kind == "floor"]
    assert not floors


def test_reserved_prices_lie_below_the_hourly_one_and_fall_with_the_term(tables):
    """A term of three years costs less an hour than one year, and both less than no term."""
    ladders = 0
    for offer in tables.offers.values():
        three = tables.offers.get(f"{offer.offer_id}-reserved-3y")
        one = tables.offers.get(f"{offer.offer_id}-reserved-1y")
        if three is not None:
            ladders += 1
            middle = offer.usd_per_gpu_h if one is None else one.usd_per_gpu_h
            assert three.usd_per_gpu_h < middle <= offer.usd_per_gpu_h, offer.offer_id
            assert (three.gpu, three.gpus_max) == (offer.gpu, offer.gpus_max)
    assert ladders >= 5


def test_an_idle_timeout_lies_in_its_range(tables):
    """The provider's default lies between the shortest and the longest that can be set."""
    for row in tables.behaviours.values():
        low = row.idle_min_s or 0.0
        high = row.idle_max_s if row.idle_max_s is not None else float("inf")
        assert low <= (row.idle_default_s if row.idle_default_s is not None else low) <= high


def test_a_refused_request_is_retried_after_a_known_time(tables):
    """Refuse-and-retry needs the client's interval; the others have none."""
    for row in tables.behaviours.values():
        assert (row.cold_request == "retry") == (row.retry_s is not None), row.behaviour_id


def test_who_refuses_a_request_at_zero(tables):
    """SageMaker's guide, Hugging Face's and Fireworks' say that a cold request gets an error."""
    refusing = {
        row.behaviour_id for row in tables.behaviours.values() if row.cold_request != "queue"
    }
    assert refusing == {"sagemaker", "hf-endpoints", "fireworks"}


def test_what_a_provider_does_not_say_is_marked(tables):
    """``assumed`` names columns of the row, and an assumed flag takes the costlier reading.

    The one exception is time before a machine exists: no provider read here bills that, so it is
    taken as unbilled, except for machines by the hour. Weights brought by Baseten are the
    provider's own statement about its own delivery network.
    """
    for row in tables.behaviours.values():
        assert all(hasattr(row, name) for name in row.assumed), row.behaviour_id
    for rules in tables.provider_rules.values():
        for name in rules.assumed:
            assert hasattr(rules, name), f"{rules.rules_id}: {name}"
            if name.startswith("bills_") and name != "bills_allocate":
                exempt = (rules.rules_id, name) == ("baseten", "bills_fetch")
                assert getattr(rules, name) or exempt, f"{rules.rules_id}: {name}"


def test_machines_by_the_hour_bill_every_stage(tables):
    """Nobody gives away the start of a machine that is paid by the hour.

    Only the time before it is handed over may be free, and only where the provider states so:
    Lambda counts from the health check.
    """
    by_the_hour = {o.rules_id for o in tables.offers.values() if o.kind != "serverless"}
    by_the_hour -= {o.rules_id for o in tables.offers.values() if o.kind == "serverless"}
    for rules_id in by_the_hour:
        rules = tables.provider_rules[rules_id]
        free = {stage for stage in STAGES if not getattr(rules, f"bills_{stage}")}
        assert free == ({"allocate"} if rules_id == "lambda" else set()), rules_id
        assert not free & {name.removeprefix("bills_") for name in rules.assumed}, rules_id
        assert rules.bills_idle, rules_id


def test_every_rule_is_used_or_waits_for_a_users_price(tables):
    """Akash, which shows only what leases start at, and uploaded prices have no offer."""
    used = {offer.rules_id for offer in tables.offers.values()}
    waiting = {"akash", "own-serverless", "own-machine"}
    assert set(tables.provider_rules) - used == waiting
    named = {rules.behaviour_id for rules in tables.provider_rules.values()}
    assert named == set(tables.behaviours)


def test_commitments_say_whether_their_terms_are_stated(tables):
    """A discount that a provider advertises without a term does not pretend to have one."""
    for row in tables.commitments.values():
        assert 0 < row.discount < 1
        assert (row.term_months is None) == (row.upfront_share is None), row.commitment_id
        assert (row.provider is None) == (row.basis == "assumed"), row.commitment_id


def test_whose_machines_an_offer_has_follows_from_its_product(tables):
    """RunPod sells both as two products, Vast.ai is a market; nobody else here sells others'."""
    for offer in tables.offers.values():
        community = offer.provider == "Vast.ai" or "Community" in offer.product
        assert security_of(offer, tables) == ("community" if community else "secure")
    assert {"Secure Cloud pod", "Community Cloud pod"} <= {
        offer.product for offer in tables.offers.values() if offer.provider == "RunPod"
    }


def test_whose_machines_a_price_of_ones_own_has_is_not_guessed(tables):
    """Of a seller unknown here nothing is stated, and what is assumed says so."""
    shipped = tables.offers["modal-l40s"]
    assert hosting_of(shipped, tables).basis == "assumed"
    own = dataclasses.replace(shipped, provider="Acme", source_id=OWN_SOURCE)
    assert hosting_of(own, tables) is None
    assert security_of(own, tables) is None

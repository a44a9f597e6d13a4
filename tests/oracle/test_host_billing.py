"""Cores and host memory of a replica, billed by hand under each provider's rule."""

from __future__ import annotations

import dataclasses
import math

import pytest

from frontier.billing import (
    HostChoice,
    HostNeed,
    Terms,
    host_billed,
    host_used,
    is_metered,
    refused_amounts,
)
from frontier.errors import InputError
from frontier.mitigations.base import Standing
from frontier.tables import load_tables
from tests.oracle.test_billing import bill_of, wake_up

TABLES = load_tables()
ONE = HostNeed(1)


def billed(offer_id, choice=None, need=ONE):
    """Return the share billed at an offer as (vCPU, GiB)."""
    offer = TABLES.offers[offer_id]
    share = host_billed(offer, TABLES.rules_of(offer), choice or HostChoice(), need, TABLES)
    return share.vcpus, share.ram_gib


def usd_of(offer_id, **amounts):
    """Return the line of cores and memory of one wake-up, and the seconds on its meter."""
    terms = Terms(platform_fee=False, free_credit=False, host=HostChoice(**amounts))
    bill = bill_of(offer_id, wake_up(60), terms=terms)
    return bill.lines["CPU and RAM"], bill.billed_s


def test_an_engine_takes_two_physical_cores_and_one_for_each_gpu():
    """The engine's own documentation: an API process, a scheduler, a worker a GPU."""
    assert host_used(HostChoice(), HostNeed(1), TABLES).vcpus == 2 * 3
    assert host_used(HostChoice(), HostNeed(4), TABLES).vcpus == 2 * 6


def test_weights_in_host_memory_are_the_loaders_word_unless_the_buyer_says_otherwise():
    """15 GiB of weights are there, or not; a figure of the buyer's own stands as it is."""
    stay, gone = HostNeed(1, 15.0, weights_stay=True), HostNeed(1, 15.0, weights_stay=False)
    bare = host_used(HostChoice(), gone, TABLES).ram_gib
    assert host_used(HostChoice(), stay, TABLES).ram_gib == bare + 15
    assert host_used(HostChoice(weights_in_ram=True), gone, TABLES).ram_gib == bare + 15
    assert host_used(HostChoice(weights_in_ram=False), stay, TABLES).ram_gib == bare
    assert host_used(HostChoice(ram_gib=40.0), stay, TABLES).ram_gib == 40


def test_modal_at_its_minimum():
    """An eighth of a physical core and 128 MiB, however little a replica uses."""
    usd, seconds = usd_of("modal-l40s", vcpus=0.1, ram_gib=0.1)
    assert usd == pytest.approx(seconds * (0.125 * 0.0000131 + 0.125 * 0.00000222), rel=1e-12)


def test_modal_above_its_minimum():
    """Four physical cores are eight vCPU: 0.0000131 each."""
    usd, seconds = usd_of("modal-l40s", vcpus=8.0, ram_gib=20.0)
    assert usd == pytest.approx(seconds * (4 * 0.0000131 + 20 * 0.00000222), rel=1e-12)


def test_modal_bills_what_is_used_above_what_was_requested_and_the_other_way_round():
    """The higher of the two, cores and memory each for itself."""
    usd, seconds = usd_of("modal-l40s", vcpus=8.0, asked_vcpus=2.0, ram_gib=4.0, asked_ram_gib=30.0)
    assert usd == pytest.approx(seconds * (4 * 0.0000131 + 30 * 0.00000222), rel=1e-12)


@pytest.mark.parametrize(
    ("offer_id", "core_usd", "gib_usd"),
    [
        ("cerebrium-l40s", 0.00000655, 0.00000222),
        ("beam-h100", 0.0000528, 0.0000056),
    ],
)
def test_a_request_is_billed_as_it_is_even_when_more_would_be_used(offer_id, core_usd, gib_usd):
    """Cerebrium and Beam: what the app asks for is its limit, so it cannot use more."""
    usd, seconds = usd_of(offer_id, vcpus=8.0, asked_vcpus=2.0, ram_gib=64.0, asked_ram_gib=20.0)
    assert usd == pytest.approx(seconds * (2 * core_usd + 20 * gib_usd), rel=1e-12)


def test_the_published_example_of_cerebrium():
    """Its page: an A10 at 0.000306, two cores and 20 GB, for a second."""
    offer = TABLES.offers["cerebrium-a10"]
    share = host_billed(
        offer, TABLES.rules_of(offer), HostChoice(vcpus=2.0, ram_gib=20.0), ONE, TABLES
    )
    second = (offer.usd_per_gpu_h + share.usd_per_h(offer)) / 3600
    assert second == pytest.approx(0.000306 + 2 * 0.00000655 + 20 * 0.00000222, rel=1e-4)


def test_koyeb_bills_nothing_beside_the_instance():
    """Cores and memory come with it, however many a replica uses."""
    assert usd_of("koyeb-l40s", vcpus=64.0, ram_gib=500.0)[0] == 0.0
    assert billed("koyeb-l40s", HostChoice(vcpus=64.0)) == (0.0, 0.0)


def test_cloud_run_takes_more_cores_for_more_memory_and_has_an_end():
    """4 vCPU and 16 GiB at least, 4 GiB a vCPU at most, 8 vCPU and 32 GiB at most."""
    assert billed("cloud-run-l4", HostChoice(vcpus=1.0, ram_gib=2.0)) == (4.0, 16.0)
    assert billed("cloud-run-l4", HostChoice(vcpus=4.0, ram_gib=24.0)) == (6.0, 24.0)
    assert billed("cloud-run-l4", HostChoice(vcpus=60.0, ram_gib=100.0)) == (8.0, 32.0)


def test_a_machine_that_two_replicas_share_has_the_cores_of_both():
    """By the hour on two GPUs, a replica a GPU: twice the cores, over two GPUs."""
    offer = dataclasses.replace(TABLES.offers["northflank-h100"], gpus_min=2, gpus_max=2)
    row = {"ended_s": 3600.0, "busy_s": 3600.0}
    terms = Terms(host=HostChoice(vcpus=10.0, ram_gib=30.0))
    bill = bill_of(offer, row, horizon_s=3600.0, terms=terms)
    assert bill.lines["CPU and RAM"] == pytest.approx(2 * (10 * 0.01667 + 30 * 0.00833), rel=1e-4)


def test_what_a_mitigation_pins_comes_on_top_of_the_page_cache():
    """Weights that loading left in the cache are no copy that a sleeping engine can wake from."""
    need = HostNeed(1, 15.0, weights_stay=True)
    with_, without = (
        bill_of("modal-l40s", wake_up(60), standing=Standing(host_ram_gib=gib), host=need)
        for gib in (15.0, 0.0)
    )
    extra = with_.lines["CPU and RAM"] - without.lines["CPU and RAM"]
    assert extra == pytest.approx(15 * 0.00000222 * (75 + 31.4 + 60))


def test_every_price_of_cores_has_a_rule_and_every_rule_a_price():
    """A product that meters cores has their price in its offers, and no other has."""
    for offer in TABLES.offers.values():
        rules = TABLES.rules_of(offer)
        has_price = offer.usd_per_vcpu_s is not None or offer.usd_per_gib_s is not None
        assert has_price == (rules.cores_metered != "included"), offer.offer_id
        assert is_metered(offer, rules) == has_price
        assert (rules.vcpus_per_core is None) == (rules.cores_metered == "included")


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_an_amount_that_is_none_is_refused(value):
    """Neither zero nor less, nor what is no number."""
    with pytest.raises(InputError, match="vcpus: expected a number above 0, found"):
        HostChoice(vcpus=value)


def test_an_absurd_amount_is_refused_in_words_that_name_the_range():
    """By the range of data/, and by the most that the provider gives a replica."""
    modal, cloud_run = (TABLES.provider_rules[key] for key in ("modal", "cloud-run"))
    assert refused_amounts(HostChoice(vcpus=6.0, ram_gib=32.0), modal, TABLES) == []
    assert refused_amounts(HostChoice(ram_gib=1e6), modal, TABLES) == [
        "host memory a replica uses: expected 0.125 to 8,192 GiB, found 1e+06"
    ]
    assert refused_amounts(HostChoice(asked_vcpus=16.0), cloud_run, TABLES) == [
        "cores requested: Google Cloud gives a replica at most 8 vCPU, found 16"
    ]

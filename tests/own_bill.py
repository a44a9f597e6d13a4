"""A bill computed again from sessions and prices alone, session by session, for the tests.

It follows the rules as data/ states them and shares no code with `frontier.billing` but what a
replica's cores and memory are. Left out: parked tiers, nodes, mitigations, half of a burst
leaving at a time; who uses it keeps away from them.
"""

from __future__ import annotations

import math

import numpy as np

from frontier.start.stages import STAGES

HOUR_S = 3600.0


def usd_per_month(outcome, tables, deal, *, prices=None, cores_usd=0.0):
    """Return the dollars a month of an outcome, on the machines that cost least.

    Parameters
    ----------
    prices : mapping of str to float, optional
        GPU prices in place of the offers' own, by offer [$/h].
    cores_usd : float
        Cores and memory over the span, where the provider meters them [$].
    """
    plan, prices = outcome.plan, prices or {}
    months = outcome.horizon_s / HOUR_S / tables.setting("hours_per_month")
    sessions, pinned = outcome.sessions, plan.policy.pinned_replicas
    pools = [(plan.offer_id, sessions)]
    if plan.base_offer_id is not None:
        base = sessions["replica"] < pinned
        pools = [(plan.offer_id, sessions[~base]), (plan.base_offer_id, sessions[base])]
    total, charged = 0.0, set()
    for offer_id, own in pools:
        offer = tables.offers[offer_id]
        rules = tables.rules_of(offer)
        shapes = deal.shapes(offer, tables)
        each = [
            _pool_usd(outcome, shape, rules, own, deal, prices.get(shape.offer_id))
            for shape in shapes
            if shape.gpus_max >= plan.speed.gpus_per_replica
        ]
        used = min(each)
        if offer.usd_per_vcpu_s or offer.usd_per_gib_s:
            used, cores_usd = used + cores_usd, 0.0
        if rules.rules_id not in charged:
            charged.add(rules.rules_id)
            terms = deal.serverless if offer.kind == "serverless" else deal.machines
            if terms.free_credit:
                used -= min(rules.free_credit_usd_month * months, used)
            if terms.platform_fee:
                used += rules.platform_fee_usd_month * months
        total += used
    total += tables.rules_of(tables.offers[plan.offer_id]).request_fee_usd * outcome.requests
    return total / months


def _pool_usd(outcome, offer, rules, sessions, deal, price):
    plan = outcome.plan
    terms = deal.serverless if offer.kind == "serverless" else deal.machines
    usd_per_gpu_h = (offer.usd_per_gpu_h if price is None else price) * terms.multiplier
    if offer.kind == "dedicated" and plan.is_committed and deal.commitment is not None:
        usd_per_gpu_h *= 1 - deal.commitment.discount
    gpus = max(offer.gpus_min, plan.speed.gpus_per_replica)
    if offer.kind == "serverless":
        gpu_s = gpus * _serverless_s(outcome, rules, sessions)
    else:
        gpu_s = gpus * _machine_s(outcome, offer, rules, sessions, gpus)
    return gpu_s * usd_per_gpu_h / HOUR_S


def _billed_start_s(outcome, rules, session):
    """Return the billed seconds of one start: the stages in order, as far as it got."""
    index, left_s = int(session["cold_start_index"]), float(session["starting_s"])
    if index < 0:
        return 0.0
    billed = 0.0
    for stage, seconds in zip(STAGES, outcome.stage_s[index % len(outcome.stage_s)], strict=True):
        got = min(float(seconds), left_s)
        left_s -= got
        if getattr(rules, f"bills_{stage}"):
            billed += got
    return billed


def _rounded_s(clock_s, rules, is_endless):
    if is_endless or clock_s <= 0:
        return clock_s
    steps = math.ceil(clock_s / rules.increment_s - 1e-9)
    return max(steps * rules.increment_s, rules.minimum_s, clock_s)


def _serverless_s(outcome, rules, sessions):
    seconds = 0.0
    for one in sessions:
        start_s = _billed_start_s(outcome, rules, one)
        idle_s = float(one["idle_s"]) if rules.bills_idle else 0.0
        clock_s = start_s + float(one["busy_s"]) + idle_s
        endless = one["started_s"] <= 0 and one["ended_s"] >= outcome.horizon_s
        rounding_s = _rounded_s(clock_s, rules, endless) - clock_s
        seconds += start_s + float(one["busy_s"]) + idle_s * rules.idle_rate_factor + rounding_s
    return seconds


def _machine_s(outcome, offer, rules, sessions, gpus):
    """Return the seconds of every machine: as long as any of its replicas lives."""
    per_machine = gpus // outcome.plan.speed.gpus_per_replica
    lives = {}
    for one in sessions:
        start_s = _billed_start_s(outcome, rules, one)
        began = float(one["started_s"]) + float(one["starting_s"]) - start_s
        ended = min(float(one["ended_s"]), outcome.horizon_s)
        if began < ended:
            lives.setdefault(int(one["replica"]) // per_machine, []).append((began, ended))
    seconds = clock_s = 0.0
    for stretches in lives.values():
        for began, ended in _union(sorted(stretches)):
            endless = began <= 0 and ended >= outcome.horizon_s
            clock_s += ended - began
            seconds += _rounded_s(ended - began, rules, endless)
    if offer.kind == "spot":
        flags = np.array([getattr(rules, f"bills_{stage}") for stage in STAGES], dtype=float)
        mean_start_s = float((outcome.stage_s @ flags).mean())
        seconds += outcome.plan.interruptions_per_h / HOUR_S * clock_s * mean_start_s
    return seconds


def _union(stretches):
    found = []
    for began, ended in stretches:
        if found and began <= found[-1][1] + 1e-6:
            found[-1] = (found[-1][0], max(found[-1][1], ended))
        else:
            found.append((began, ended))
    return found

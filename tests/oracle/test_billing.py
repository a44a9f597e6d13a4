"""Bills computed by hand, cent by cent, from each provider's published rule and price.

Every provider of data/provider_rules.csv has its example here. The arithmetic stands in the test
as a person would write it down: seconds that the rule bills, rounded up as the rule rounds, times
the price as the source prints it (a second, a minute or an hour). Nothing in it uses
`frontier.billing`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from frontier.billing import (
    LINES,
    Contract,
    HostChoice,
    Terms,
    TokenPrice,
    Usage,
    bill,
    bill_basis,
    chosen_terms,
    commitment_facts,
    machine_shape,
    replica_usd_per_h,
)
from frontier.errors import InfeasibleError, InputError
from frontier.mitigations.base import Standing
from frontier.policy import ParkedTier, ScalingPolicy
from frontier.tables import load_tables

HOUR = 3600.0
MONTH = 730 * HOUR
#        allocate pull boot init fetch load compile kv capture other: 75 s in all
STAGES = (7.0, 11.0, 2.0, 9.0, 20.0, 5.0, 12.0, 3.0, 4.0, 2.0)
BUSY = 31.4
BARE = Terms(platform_fee=False, free_credit=False)
POLICY = ScalingPolicy(max_replicas=8)

TABLES = load_tables()


def session_rows(*rows, tiers=0):
    """Make ``RunResult.sessions`` rows from dicts; what is not given is 0."""
    dtype = [
        ("replica", np.int32),
        *((name, np.float64) for name in ("started_s", "ready_s", "ended_s")),
        *((name, np.float64) for name in ("starting_s", "busy_s", "idle_s")),
        ("parked_s", np.float64, (tiers,)),
        ("cold_start_index", np.int64),
    ]
    array = np.zeros(len(rows), dtype=dtype)
    for row, values in zip(array, rows, strict=True):
        row["cold_start_index"] = -1
        for name, value in values.items():
            row[name] = value
    return array


def wake_up(idle_s, replica=0, at_s=1000.0):
    """One wake-up: 75 s of start, 31.4 s of work, and the idle tail."""
    return {
        "replica": replica,
        "started_s": at_s,
        "ready_s": at_s + 75,
        "ended_s": at_s + 75 + BUSY + idle_s,
        "starting_s": 75,
        "busy_s": BUSY,
        "idle_s": idle_s,
        "cold_start_index": 0,
    }


def always_on(replica=0, busy_s=10 * HOUR, horizon_s=MONTH):
    """One replica that is up from first to last."""
    return {
        "replica": replica,
        "ended_s": horizon_s,
        "busy_s": busy_s,
        "idle_s": horizon_s - busy_s,
    }


def basis_of(
    offer, *rows, horizon_s=MONTH, gpus=1, terms=BARE, policy=POLICY, tiers=0, base=None, **more
):
    """Gather what a bill of rows at an offer (or its name) is computed from, under its rules."""
    offer = TABLES.offers[offer] if isinstance(offer, str) else offer
    if base is not None:
        base = Contract(base, TABLES.rules_of(base))
    return bill_basis(
        Usage(session_rows(*rows, tiers=tiers), [STAGES], gpus, horizon_s, policy, **more),
        Contract(offer, TABLES.rules_of(offer), terms, base),
        TABLES,
    )


def bill_of(offer, *rows, **more):
    """Bill rows at an offer (or its name) under the rules that it names."""
    return bill(basis_of(offer, *rows, **more))


# (offer, idle seconds, the bill of one wake-up in dollars)
SERVERLESS = [
    # All but allocation: 68 + 31.4 + 60 = 159.4 -> 160 s. GPU, 3 physical cores and 8 GiB that the
    # engine takes, by the second.
    ("modal-l40s", 60, 160 * (0.000542 + 3 * 0.0000131 + 8 * 0.00000222)),
    # Image and queue free: 57 + 31.4 + 5 = 93.4 -> 94 s at 1.75 an hour.
    ("runpod-flex-l40s", 5, 94 * 1.75 / 3600),
    # Spin-up, environment and queue free: 75 - 7 - 11 - 2 = 55; 55 + 31.4 + 60 = 146.4 -> 147 s.
    ("cerebrium-l40s", 60, 147 * (0.000542 + 6 * 0.00000655 + 8 * 0.00000222)),
    # 68 + 31.4 + 300 = 399.4 -> 400 s at 1.20 an hour.
    ("koyeb-l40s", 300, 400 * 1.20 / 3600),
    # Queue and pull free: 57 + 31.4 + 180 = 268.4 -> 269 s; core 0.190, GB 0.020 an hour and so.
    ("beam-h100", 180, 269 * (3.50 / 3600 + 6 * 0.0000528 + 8 * 0.0000056)),
    # By the minute, initializing charged: 68 + 31.4 + 3600 = 3699.4 s -> 62 min at 1.80 an hour.
    ("hf-l40s", 3600, 62 * 1.80 / 60),
    # 68 + 31.4 + 900 = 999.4 -> 9994 steps of 0.1 s; 6 vCPU and no less than 16 GiB apart.
    ("cloud-run-l4", 900, 999.4 * (0.67212 / 3600 + 6 * 0.000018 + 16 * 0.000002)),
    ("cloud-run-l4-zonal", 900, 999.4 * (1.04724 / 3600 + 6 * 0.000018 + 16 * 0.000002)),
    # 68 + 31.4 + 1200 = 1299.4 -> 1300 s of ml.g5.xlarge at 1.408 an hour.
    ("sagemaker-a10g", 1200, 1300 * 1.408 / 3600),
    # PENDING and DOCKER_PULL free: 57 + 31.4 + 60 = 148.4 -> 149 s at 4.50 an hour.
    ("fal-h200", 60, 149 * 4.50 / 3600),
    ("fal-h100", 60, 149 * 4.50 / 3600),
    # Queue and pull free, its own delivery network's weights too, the rest by the minute:
    # 75 - 7 - 11 - 16 = 41; 41 + 31.4 + 900 = 972.4 s -> 17 min at 0.10833 a minute.
    ("baseten-h100", 900, 17 * 0.10833),
    # The whole start is free: 31.4 + 3600 = 3631.4 -> 3632 s at 8 an hour.
    ("fireworks-h100", 3600, 3632 * 8.00 / 3600),
    # Setup, active and idle: 68 + 31.4 + 300 = 399.4 -> 400 s at 0.000975 a second.
    ("replicate-l40s", 300, 400 * 0.000975),
    # By the minute: 68 + 31.4 + 3600 = 3699.4 s -> 62 min at 3.99 an hour.
    ("together-h100", 3600, 62 * 3.99 / 60),
    # Loading, pull included, is billed: 68 + 31.4 + 60 = 159.4 -> 160 s at the median 2.4024.
    ("vast-serverless-h100", 60, 160 * 2.4024 / 3600),
]

# (offer, dollars of an hour of the machine as the source prints it, increment, minimum)
MACHINES = [
    ("aws-l40s", 1.861, 1, 60),
    ("gcp-l4", 0.706832, 1, 60),
    ("azure-h100-nvl", 6.98, 60, 60),
    ("oci-a10", 2.00, 60, 60),
    ("lambda-h100", 4.29, 60, 60),
    ("crusoe-l40s", 1.50, 60, 60),
    ("nebius-h100", 4.50, 60, 60),
    ("hyperstack-a100", 1.60, 60, 60),
    ("digitalocean-l40s", 1.57, 60, 60),
    ("vast-h100", 2.4024, 1, 0),
    ("verda-rtx-a6000", 0.82, 600, 600),
    ("jarvislabs-h100", 3.49, 60, 60),
    ("massed-compute-h100", 2.73, 60, 60),
    ("thunder-compute-h100", 3.20, 60, 60),
    # The GPU, and 6 vCPU and 8 GiB apart.
    ("northflank-h100", 2.74 + 6 * 0.01667 + 8 * 0.00833, 1, 0),
    ("novita-h100", 3.39, 60, 60),
    ("paperspace-h100", 5.95, 60, 60),
    ("runpod-secure-h100", 3.99, 1, 0),
]

# (offer, dollars of an hour of the whole 8-GPU machine as the source prints it)
EIGHT_GPU_MACHINES = [
    ("aws-h100-8x", 55.04),
    ("coreweave-h100-8x", 49.24),
    ("azure-h100-8x", 98.32),
    ("gcp-h100-8x", 88.49),
    ("oci-h100-8x", 80.00),
    ("crusoe-h100-8x", 31.20),
]


def test_every_provider_has_an_example():
    """No provider's rules go unproved but Akash's, which has no offer; two are for uploads."""
    shown = {TABLES.offers[row[0]].rules_id for row in SERVERLESS + MACHINES + EIGHT_GPU_MACHINES}
    ours = {"own-serverless", "own-machine"}
    assert shown | {"akash"} | ours == set(TABLES.provider_rules)


@pytest.mark.parametrize(("offer", "idle_s", "expected"), SERVERLESS)
def test_one_wake_up_of_a_serverless_replica(offer, idle_s, expected):
    """ceil((billed stages + busy + idle) / increment) x increment x price, all meters."""
    cost = bill_of(offer, wake_up(idle_s))
    assert cost.usd_span == pytest.approx(expected, rel=1e-9)
    assert round(cost.usd_span * 100) == round(expected * 100)


@pytest.mark.parametrize(("offer", "usd_per_h", "increment_s", "minimum_s"), MACHINES)
def test_one_wake_up_of_a_machine_by_the_hour(offer, usd_per_h, increment_s, minimum_s):
    """A machine is paid from its first second: 75 + 31.4 + 10 = 116.4 s, rounded as it rounds."""
    seconds = max(math.ceil(116.4 / increment_s) * increment_s, minimum_s)
    assert bill_of(offer, wake_up(10)).usd_span == pytest.approx(usd_per_h * seconds / HOUR)


def test_lambda_counts_from_the_health_check():
    """The time until the machine is handed over is free: 68 + 31.4 + 15 = 114.4 s, two minutes."""
    assert bill_of("lambda-h100", wake_up(15)).usd_span == pytest.approx(4.29 * 2 / 60)


@pytest.mark.parametrize(("offer", "usd_per_h"), EIGHT_GPU_MACHINES)
def test_a_month_of_one_gpu_costs_the_machine_of_eight(offer, usd_per_h):
    """A one-GPU model on a machine sold whole: 730 hours of eight GPUs, seven of them unused."""
    cost = bill_of(offer, always_on())
    assert cost.usd_span == pytest.approx(730 * usd_per_h, rel=1e-4)
    assert cost.lines["unused GPUs"] == pytest.approx(cost.usd_span * 7 / 8)


def test_the_months_that_the_notes_print():
    """AWS p5 for a month is $40,179; the L40S at 1.50 an hour is $1,095."""
    assert bill_of("aws-h100-8x", always_on()).usd_span == pytest.approx(40_179.20)
    assert bill_of("crusoe-l40s", always_on()).usd_per_month(730) == pytest.approx(1_095.00)


def test_baseten_by_the_minute_and_half_by_half():
    """A user's 4.00 an hour under Baseten's rules; four replicas freed at once leave 2, 1, 1.

    Each is billed 2 + 9 + 5 + 12 + 3 + 4 + 2 = 37 s of start (no queue, no pull, no weights),
    31.4 s of work and 900 s of idling, 968.4 s. Two leave then: 17 min each. One leaves a window
    of 900 s later: 1868.4 s, 32 min. The last another window later: 2768.4 s, 47 min.
    """
    offer = dataclasses.replace(
        TABLES.offers["modal-h100"],
        usd_per_gpu_h=4.0,
        usd_per_vcpu_s=None,
        usd_per_gib_s=None,
        rules_id="baseten",
    )
    rows = [wake_up(900, replica) for replica in range(4)]
    policy = ScalingPolicy(max_replicas=4, idle_timeout_s=900, scale_down="half_per_window")
    cost = bill_of(offer, *rows, policy=policy)
    assert cost.usd_span == pytest.approx((17 + 17 + 32 + 47) * 4.0 / 60)
    alone = bill_of(offer, rows[0], policy=policy)
    assert alone.usd_span == pytest.approx(17 * 4.0 / 60)


def test_a_replica_that_starts_again_is_not_kept_beyond_that():
    """Half-per-window idling ends where the replica's next session begins."""
    offer = dataclasses.replace(
        TABLES.offers["modal-h100"], usd_per_vcpu_s=None, usd_per_gib_s=None, rules_id="baseten"
    )
    policy = ScalingPolicy(max_replicas=4, idle_timeout_s=900, scale_down="half_per_window")
    rows = [wake_up(900, 0), wake_up(900, 1)]
    again = wake_up(900, 1, at_s=rows[1]["ended_s"] + 100)
    rate = offer.usd_per_gpu_h / HOUR
    kept = bill_of(offer, *rows, policy=policy).lines["idle"]
    cut = bill_of(offer, *rows, again, policy=policy).lines["idle"]
    assert kept == pytest.approx((900 + 900 + 900) * rate)
    assert cut == pytest.approx((900 + 900 + 100 + 900) * rate)


def test_lines_say_where_the_money_goes():
    """The Modal wake-up, line by line."""
    cost = bill_of("modal-l40s", wake_up(60))
    assert tuple(cost.lines) == LINES
    assert cost.lines["starting"] == pytest.approx(68 * 0.000542)
    assert cost.lines["busy"] == pytest.approx(31.4 * 0.000542)
    assert cost.lines["idle"] == pytest.approx(60 * 0.000542)
    assert cost.lines["rounding"] == pytest.approx(0.6 * 0.000542)
    assert cost.lines["CPU and RAM"] == pytest.approx(160 * (3 * 0.0000131 + 8 * 0.00000222))
    assert cost.billed_s == pytest.approx(160)


def test_five_seconds_of_work_behind_thirty_of_start():
    """The textbook waste: 30 of 35 metered seconds are start, 85.7 %."""
    row = {"ended_s": 35, "starting_s": 30, "busy_s": 5, "cold_start_index": 0}
    offer = TABLES.offers["replicate-l40s"]
    rules = dataclasses.replace(TABLES.provider_rules["replicate"], bills_allocate=True)
    usage = Usage(session_rows(row), np.full((1, 10), 3.0), 1, MONTH, POLICY)
    cost = bill(bill_basis(usage, Contract(offer, rules, BARE), TABLES))
    assert cost.lines["starting"] / cost.usd_span == pytest.approx(30 / 35)


def test_a_start_cut_by_the_horizon_is_billed_for_the_stages_it_got_through():
    """The trace ends 20 s into the start: 7 free, 11 of pull billed at HF, 2 of boot: 13 s."""
    row = wake_up(0, at_s=MONTH - 20) | {"starting_s": 20, "busy_s": 0}
    cost = bill_of("hf-l40s", row)
    assert cost.lines["starting"] == pytest.approx(13 * 1.80 / HOUR)
    assert cost.usd_span == pytest.approx(1.80 / 60)


def test_a_resume_is_billed_like_the_load_that_it_is():
    """10 s of resume on top of a start: billed at RunPod, free at Fireworks."""
    row = wake_up(0) | {"starting_s": 85}
    assert bill_of("runpod-flex-l40s", row).lines["starting"] == pytest.approx(67 * 1.75 / HOUR)
    assert bill_of("fireworks-h100", row).lines["starting"] == 0.0


def test_parked_seconds_cost_the_share_that_is_held():
    """An hour parked at 30 % and one at nothing, on Modal: 1080 s of GPU, CPU and RAM."""
    policy = ScalingPolicy(
        max_replicas=2, parked=(ParkedTier(HOUR, 1, 0.3), ParkedTier(HOUR, 5, 0.0))
    )
    row = wake_up(0) | {"parked_s": (HOUR, HOUR)}
    cost = bill_of("modal-l40s", row, policy=policy, tiers=2)
    assert cost.lines["parked"] == pytest.approx(1080 * 0.000542)
    without = bill_of("modal-l40s", wake_up(0)).lines["CPU and RAM"]
    rate = 3 * 0.0000131 + 8 * 0.00000222
    assert cost.lines["CPU and RAM"] == pytest.approx(without + 1080 * rate)


def test_eight_replicas_fill_the_machine_and_the_ninth_buys_another():
    """Whole machines of eight GPUs: nothing unused at 8 replicas, seven GPUs at 9."""
    eight = bill_of("aws-h100-8x", *(always_on(r) for r in range(8)))
    nine = bill_of("aws-h100-8x", *(always_on(r) for r in range(9)))
    assert eight.usd_span == pytest.approx(730 * 55.04)
    assert eight.lines["unused GPUs"] == pytest.approx(0, abs=1e-6)
    assert nine.usd_span == pytest.approx(2 * 730 * 55.04)
    assert nine.lines["unused GPUs"] == pytest.approx(730 * 7 * 6.88)


def test_three_gpus_a_replica_leave_two_of_eight_unused():
    """Two replicas of three GPUs share a machine of eight; two GPUs stay unused."""
    cost = bill_of("aws-h100-8x", always_on(0), always_on(1), gpus=3)
    assert cost.usd_span == pytest.approx(730 * 55.04)
    assert cost.lines["unused GPUs"] == pytest.approx(730 * 2 * 6.88)


def test_replicas_on_one_machine_share_its_hours():
    """Replica 0 from hour 0 to 2 and replica 1 from hour 1 to 3: one machine, three hours."""
    early = {"ended_s": 2 * HOUR, "busy_s": 2 * HOUR}
    late = {"replica": 1, "started_s": HOUR, "ended_s": 3 * HOUR, "busy_s": 2 * HOUR}
    cost = bill_of("aws-h100-8x", early, late)
    assert cost.meters == 1
    assert cost.usd_span == pytest.approx(3 * 55.04)
    assert cost.lines["busy"] == pytest.approx(4 * 6.88)
    assert cost.lines["unused GPUs"] == pytest.approx((3 * 8 - 4) * 6.88)


def test_a_serverless_machine_of_four_is_paid_whole():
    """A one-GPU replica on the endpoint of four L40S: 62 minutes of 4 x 2.075 an hour."""
    cost = bill_of("hf-l40s-4x", wake_up(3600))
    assert cost.usd_span == pytest.approx(62 * 8.30 / 60)


def test_office_hours_on_a_machine():
    """22 days of 10 hours at 1.50: $330, not $1,095."""
    rows = [
        {"started_s": day * 86400, "ended_s": day * 86400 + 10 * HOUR, "busy_s": 10 * HOUR}
        for day in range(22)
    ]
    assert bill_of("crusoe-l40s", *rows).usd_span == pytest.approx(330.0)


def test_a_hybrid_pays_its_base_by_the_hour_and_its_overflow_by_the_second():
    """One L40S at Crusoe for the month, one wake-up at Modal; the fee is Modal's and none."""
    base = TABLES.offers["crusoe-l40s"]
    policy = ScalingPolicy(min_replicas=1, max_replicas=4, pinned_replicas=1)
    cost = bill_of(
        "modal-l40s",
        always_on(0),
        wake_up(60, replica=1),
        policy=policy,
        base=base,
    )
    wake = 160 * (0.000542 + 3 * 0.0000131 + 8 * 0.00000222)
    assert cost.usd_span == pytest.approx(1095.0 + wake)


def test_a_plan_is_charged_once_and_not_for_each_pool():
    """Base and overflow on one Koyeb plan: $29 and one credit of $10, not two of each."""
    offer = TABLES.offers["koyeb-l40s"]
    base = Contract(offer, TABLES.rules_of(offer))
    policy = ScalingPolicy(min_replicas=1, max_replicas=4, pinned_replicas=1)
    rows = session_rows(always_on(0), *(wake_up(300, 1, at_s=1e5 * i) for i in range(1, 21)))
    usage = Usage(rows, [STAGES], 1, MONTH, policy)
    cost = bill(bill_basis(usage, Contract(offer, TABLES.rules_of(offer), base=base), TABLES))
    assert cost.lines["fees"] == pytest.approx(29)
    # Twenty wake-ups of 400 s at 1.20 an hour are less than the credit of the plan.
    assert cost.lines["credits"] == pytest.approx(-20 * 400 * 1.20 / HOUR)


def test_a_base_has_no_base_of_its_own():
    """Two levels of contract are a mistake and not a hybrid."""
    one = Contract(TABLES.offers["koyeb-l40s"], TABLES.provider_rules["koyeb"])
    with pytest.raises(InputError, match="base of its own"):
        dataclasses.replace(one, base=dataclasses.replace(one, base=one))


def test_fees_and_credits_of_a_plan():
    """Koyeb Pro: $29 a month with $10 of compute; ten wake-ups of 400 s at 1.20 are $1.33."""
    rows = [wake_up(300, at_s=1000.0 * i) for i in range(10)]
    few = bill_of("koyeb-l40s", *rows, terms=Terms())
    assert few.lines["fees"] == pytest.approx(29)
    assert few.lines["credits"] == pytest.approx(-10 * 400 * 1.20 / HOUR)
    assert few.usd_span == pytest.approx(29)
    busy = bill_of("koyeb-l40s", always_on(), terms=Terms())
    assert busy.usd_span == pytest.approx(730 * 1.20 + 29 - 10)


def test_fees_and_credits_follow_the_span():
    """In a tenth of a month a tenth of the fee and of the credit; the month has all of it."""
    span = MONTH / 10
    cost = bill_of("koyeb-l40s", always_on(horizon_s=span), horizon_s=span, terms=Terms())
    assert cost.lines["fees"] == pytest.approx(2.9)
    assert cost.usd_per_month(730) == pytest.approx(730 * 1.20 + 29 - 10)


def test_region_and_availability_multiply_every_meter():
    """Modal in a chosen region (1.75) and non-preemptible (3): GPU, CPU and RAM times 5.25."""
    once = bill_of("modal-l40s", wake_up(60))
    chosen = bill_of("modal-l40s", wake_up(60), terms=dataclasses.replace(BARE, multiplier=5.25))
    assert chosen.usd_span == pytest.approx(5.25 * once.usd_span)


def test_storage_memory_and_gpu_seconds_that_a_mitigation_keeps():
    """100 GB at RunPod's 0.07 a month; 50 GPU-seconds more at the start; memory is included."""
    kept = Standing(storage_gb=100, host_ram_gib=32, gpu_s_per_start=50)
    cost = bill_of("runpod-flex-l40s", wake_up(5), standing=kept)
    assert cost.lines["storage"] == pytest.approx(7.0)
    assert cost.lines["starting"] == pytest.approx((57 + 50) * 1.75 / HOUR)
    assert cost.lines["CPU and RAM"] == 0.0
    metered = bill_of("modal-l40s", wake_up(60), standing=Standing(host_ram_gib=32))
    plain = bill_of("modal-l40s", wake_up(60))
    extra = metered.lines["CPU and RAM"] - plain.lines["CPU and RAM"]
    assert extra == pytest.approx(32 * 0.00000222 * (75 + BUSY + 60))


def test_a_commitment_is_paid_whether_used_or_not():
    """35 % off one L40S at 1.50, used 220 of 730 hours: 730 x 0.975, of which 510 unused."""
    commitment = TABLES.commitments["preset-35"]
    row = {"ended_s": 220 * HOUR, "busy_s": 220 * HOUR}
    cost = bill_of("crusoe-l40s", row, terms=Terms(commitment=commitment))
    assert cost.usd_span == pytest.approx(730 * 0.975)
    assert cost.lines["unused commitment"] == pytest.approx(510 * 0.975)
    full = bill_of("crusoe-l40s", always_on(), terms=Terms(commitment=commitment))
    assert full.usd_span == pytest.approx(0.65 * 1095)
    assert full.lines["unused commitment"] == pytest.approx(0)


def test_hours_beyond_the_commitment_cost_the_hourly_price():
    """One machine committed, two up for 100 hours: the second pays 1.50."""
    terms = Terms(commitment=TABLES.commitments["preset-35"], committed_machines=1)
    burst = {"replica": 1, "ended_s": 100 * HOUR, "busy_s": 100 * HOUR}
    cost = bill_of("crusoe-l40s", always_on(), burst, terms=terms)
    assert cost.usd_span == pytest.approx(730 * 0.975 + 100 * 1.50)


def test_what_a_commitment_binds_to():
    """3 years at half price, all upfront, 730 h at 1.50: $19,710 now; half the hours must be used.

    Always on it saves $547.50 a month against the hourly price; having paid $19,710 at once, the
    $1,095 a month no longer spent earns it back in 18 months.
    """
    facts = commitment_facts(
        TABLES.offers["crusoe-l40s"],
        TABLES.commitments["preset-50-upfront"],
        machines=1,
        gpus_per_machine=1,
        used_share=1.0,
        hours_per_month=730,
    )
    assert facts.committed_usd == facts.upfront_usd == pytest.approx(36 * 547.50)
    assert facts.break_even_utilisation == pytest.approx(0.5)
    assert facts.effective_usd_per_used_h == pytest.approx(0.75)
    assert facts.payback_months == pytest.approx(18.0)


def test_a_committed_machine_used_a_quarter_of_the_time_costs_four_times_an_hour():
    """A machine-hour at 0.75, a quarter of them used: 3.00 each; without end if none is."""
    of = {
        "offer": TABLES.offers["crusoe-l40s"],
        "commitment": TABLES.commitments["preset-50-upfront"],
        "machines": 2,
        "gpus_per_machine": 1,
        "hours_per_month": 730,
    }
    quarter = commitment_facts(used_share=0.25, **of)
    assert quarter.effective_usd_per_used_h == pytest.approx(4 * 0.75)
    assert commitment_facts(used_share=0.0, **of).effective_usd_per_used_h == math.inf


def test_two_gpus_a_replica_cost_twice_on_every_line_of_the_gpu():
    """The Modal wake-up on two L40S: 68 s of start, 31.4 of work, 60 idle, 0.6 rounded, twice.

    An engine on two GPUs takes four physical cores and 12 GiB, not twice those of one.
    """
    one, two = (bill_of("modal-l40s", wake_up(60), gpus=gpus) for gpus in (1, 2))
    assert two.lines["starting"] == pytest.approx(2 * 68 * 0.000542)
    for line, usd in one.lines.items():
        if line != "CPU and RAM":
            assert two.lines[line] == pytest.approx(2 * usd), line
    assert two.lines["CPU and RAM"] == pytest.approx(160 * (4 * 0.0000131 + 12 * 0.00000222))
    assert two.billed_s == pytest.approx(one.billed_s)


def test_an_interruption_repeats_the_start_on_every_gpu_of_the_machine():
    """Spot at 2.00 a GPU, two GPUs: 36.5 starts of 75 s on both."""
    offer = dataclasses.replace(TABLES.offers["hyperstack-h100-pcie-spot"], gpus_max=2)
    terms = Terms(platform_fee=False, free_credit=False, interruptions_per_h=0.05)
    cost = bill_of(offer, always_on(), gpus=2, terms=terms)
    assert cost.usd_span == pytest.approx(2 * 2.00 * (730 + 36.5 * 75 / HOUR))


def test_interruptions_repeat_starts():
    """Spot, one interruption every 20 hours over 730: 36.5 starts of 75 s more."""
    terms = Terms(platform_fee=False, free_credit=False, interruptions_per_h=0.05)
    cost = bill_of("hyperstack-h100-pcie-spot", always_on(), terms=terms)
    assert cost.usd_span == pytest.approx(2.00 * (730 + 36.5 * 75 / HOUR))


def test_units_of_cost():
    """$1,095 over a month for 15,410 requests and 20 million tokens."""
    cost = bill_of("crusoe-l40s", always_on())
    assert cost.usd_per_1k_requests(15_410) == pytest.approx(71.057, abs=1e-3)
    assert cost.usd_per_mtok(20_000_000) == pytest.approx(54.75)
    assert cost.tokens_per_usd(20_000_000) == pytest.approx(20e6 / 1095)
    assert math.isnan(cost.usd_per_1k_requests(0))
    assert not cost.is_extrapolated
    assert bill_of("crusoe-l40s", always_on(horizon_s=86399), horizon_s=86399).is_extrapolated


def test_all_in_prices_of_an_hour():
    """Notes: Modal H100 at 8 cores and 64 GiB 4.84 an hour, Beam 6.31; p5 alone 55.04.

    A core is a physical one at Modal.
    """
    hour = {
        name: replica_usd_per_h(
            TABLES.offers[name],
            gpus_per_replica=1,
            tables=TABLES,
            terms=Terms(host=HostChoice(vcpus=16.0 if name == "modal-h100" else 8.0, ram_gib=64.0)),
        )
        for name in ("modal-h100", "beam-h100", "cloud-run-l4", "aws-h100-8x", "crusoe-l40s")
    }
    assert hour["modal-h100"] == pytest.approx(4.84, abs=5e-3)
    assert hour["beam-h100"] == pytest.approx(6.31, abs=5e-3)
    assert hour["cloud-run-l4"] == pytest.approx(0.67212 + 8 * 0.0648 + 32 * 0.0072)
    assert hour["aws-h100-8x"] == pytest.approx(55.04)
    assert hour["crusoe-l40s"] == pytest.approx(1.50)
    full = replica_usd_per_h(
        TABLES.offers["aws-h100-8x"], gpus_per_replica=1, tables=TABLES, replicas=8
    )
    assert full == pytest.approx(6.88)


def test_a_chosen_region_multiplies_cores_and_memory_too():
    """An hour of Cerebrium's L40S, protected: twice GPU, 6 vCPU and 8 GiB."""
    offer = TABLES.offers["cerebrium-l40s"]
    terms = chosen_terms(TABLES.rules_of(offer), kept_up=True)
    hour = replica_usd_per_h(offer, gpus_per_replica=1, tables=TABLES, terms=terms)
    assert hour == pytest.approx(2 * HOUR * (0.000542 + 6 * 0.00000655 + 8 * 0.00000222))
    kept = bill_of("cerebrium-l40s", wake_up(0), standing=Standing(host_ram_gib=32), terms=terms)
    bare = dataclasses.replace(terms, free_credit=False, platform_fee=False)
    one = bill_of("cerebrium-l40s", wake_up(0), standing=Standing(host_ram_gib=32))
    assert kept.lines["CPU and RAM"] == pytest.approx(2 * one.lines["CPU and RAM"])
    assert bill_of("cerebrium-l40s", wake_up(0), terms=bare).usd_span == pytest.approx(
        2 * bill_of("cerebrium-l40s", wake_up(0)).usd_span
    )


def test_no_factor_is_charged_that_the_provider_does_not_publish():
    """Fireworks, Cerebrium and Modal publish one each, RunPod none; two are multiplied.

    Modal sells non-preemptible capacity for functions without a GPU only.
    """
    both = {"in_region": True, "kept_up": True}
    assert chosen_terms(TABLES.provider_rules["modal"], **both).multiplier == 1.75
    assert chosen_terms(TABLES.provider_rules["cerebrium"], **both).multiplier == 2
    two = dataclasses.replace(TABLES.provider_rules["cerebrium"], region_multiplier=1.5)
    assert chosen_terms(two, **both).multiplier == 1.5 * 2
    assert chosen_terms(TABLES.provider_rules["modal"], in_region=True).multiplier == 1.75
    assert chosen_terms(TABLES.provider_rules["runpod-flex"], **both).multiplier == 1.0


def test_tokens_of_an_api():
    """1 M prompt tokens, 40 % of them cached, and 0.2 M of output at 0.50 / 0.05 / 2.00."""
    price = TokenPrice(0.50, 2.00, 0.05)
    assert price.usd([600_000, 400_000], [200_000], 0.4) == pytest.approx(0.30 + 0.02 + 0.40)
    with pytest.raises(InputError, match="cached"):
        TokenPrice(0.50, 2.00).usd([1], [1], 0.4)


def test_the_basis_recomputes_the_bill():
    """Price times seconds of each exported meter, summed, is the bill."""
    rows = [wake_up(60, at_s=1000.0 * i) for i in range(5)]
    basis = basis_of("modal-l40s", *rows)
    (pool,) = basis.pools
    meters = basis.meters
    gpu_s = sum(meters[name] for name in meters.dtype.names if name.endswith("_gpu_s"))
    assert gpu_s == pytest.approx(np.full(5, 160.0))
    by_hand = gpu_s.sum() * (pool.usd_per_gpu_h + pool.cpu_ram_usd_per_gpu_h) / HOUR
    assert by_hand == pytest.approx(bill_of("modal-l40s", *rows).usd_span)
    assert not meters.flags.writeable


def test_a_replica_larger_than_any_machine_is_refused():
    """Four GPUs on a machine that has one: said by name, not billed as something else."""
    with pytest.raises(InfeasibleError, match=r"needs 4 GPUs.*koyeb-l40s has at most 1"):
        machine_shape(TABLES.offers["koyeb-l40s"], 4)
    with pytest.raises(InputError, match="horizon_s"):
        bill_of("koyeb-l40s", wake_up(0), horizon_s=0.0)


def test_nothing_used_costs_the_plan_and_no_more():
    """A week without a session: no meter runs, the fee does."""
    cost = bill_of("koyeb-l40s", terms=Terms())
    assert cost.usd_span == pytest.approx(29)
    assert cost.meters == 0
    assert bill_of("aws-h100-8x", terms=Terms()).usd_span == 0.0

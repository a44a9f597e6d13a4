"""The stages of a start against hand-worked sums and the published rates they were made from."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier.errors import InputError
from frontier.serving import PRECISIONS
from frontier.start.predict import StartInputs, platform_of, start_inputs_for
from frontier.start.rates import kernels_of
from frontier.start.stages import LUCK_COLUMNS, STAGES, ColdStart, Stage
from frontier.tables import load_columns, load_tables

TABLES = load_tables()


TOLD = {
    "checkpoint_gb": 15.0,
    "layers": 32,
    "gpu_family": "ada",
    "bandwidth_gb_per_s": 864.0,
    "pcie_gb_per_s": 32.0,
    "engine": "vllm-2025",
    "host": "bare-metal-epyc",
    "storage": "host-ram",
    "loader": "mmap",
    "allocate_s": 5.0,
    "image_gb": 12.0,
    "image_state": "cached",
}


def inputs(**changes) -> StartInputs:
    return StartInputs(**{**TOLD, **changes})


def predict(**changes) -> ColdStart:
    return inputs(**changes).predict(TABLES)


def test_every_engine_model_and_gpu_has_one_time_for_its_kernels():
    """No generation of GPUs, precision or architecture falls through, and none has two rows."""
    column = next(c for c in load_columns()["gpus"] if c.column == "family")
    for engine, architecture, precision, family in itertools.product(
        TABLES.engines, ("dense", "moe"), PRECISIONS, column.choices
    ):
        row = kernels_of(engine, architecture, precision, family, TABLES)
        assert row.seconds >= row.tuning_s >= 0
    with pytest.raises(InputError, match="found 0"):
        kernels_of("vllm-2026", "dense", "bf16", "rubin", TABLES)


def test_stages_are_the_sums_worked_out_by_hand():
    """An 8B of 32 layers on a host of factor 1 with the fits of the published profiler."""
    number = TABLES.coefficient
    cold = predict(compile_state="cold")
    assert cold["allocate"].median_s == 5
    assert cold["pull"].median_s == 0
    assert cold["engine_init"].median_s == pytest.approx(8.69, rel=0.01)
    assert cold["load"].median_s == pytest.approx(15 / 8.25)
    assert cold["compile"].median_s == pytest.approx(32 * 0.656 + 2.41, rel=0.02)
    profile_s = 1.115 + 0.056 * 32 + 0.0593 * 15
    assert cold["kv_cache"].median_s == pytest.approx(profile_s, rel=0.01)
    capture_s = 0.189 + 0.0264 * 32 + 0.482 * 67 * 15 / 864
    assert cold["graph_capture"].median_s == pytest.approx(capture_s, rel=0.01)
    cached = predict(compile_state="cached", bandwidth_gb_per_s=3938.0, capture_sizes=8)
    assert cached["compile"].median_s == pytest.approx(32 * 0.311 + 0.15, rel=0.02)
    share = number("kv_profile_cached_share")
    assert cached["kv_cache"].median_s == pytest.approx(share * cold["kv_cache"].median_s)
    capture_s = 0.189 + 0.0264 * 32 + 0.482 * 67 * 15 / 3938
    assert cached["graph_capture"].median_s == pytest.approx(capture_s * 8 / 67, rel=0.01)
    assert predict(compile_state="none", capture_sizes=0)["compile"].median_s == 0


def test_capture_and_profiling_follow_the_bytes_a_step_reads_and_not_all_parameters():
    """A mixture of experts that uses a tenth of its weights captures like a model of that size."""
    small = predict(checkpoint_gb=6.0)
    sparse = predict(checkpoint_gb=60.0, active_share=0.1)
    for name in ("kv_cache", "graph_capture"):
        assert sparse[name].median_s == pytest.approx(small[name].median_s)
    assert predict(bandwidth_gb_per_s=432.0)["graph_capture"].median_s > (
        predict()["graph_capture"].median_s
    )


def test_the_workers_of_several_gpus_start_once_more_and_on_the_host_s_factor():
    """Two GPUs or eight: the same seconds more than one, times what the host takes for a start."""
    more_s = TABLES.coefficient("engine_init_workers_s")
    assert more_s > 0
    one, two, eight = (predict(gpus=gpus)["engine_init"].median_s for gpus in (1, 2, 8))
    assert two - one == pytest.approx(more_s)
    assert eight == pytest.approx(two)
    slow = predict(gpus=2, engine_init_factor=3.0)["engine_init"].median_s
    assert slow == pytest.approx(3 * two)


def test_three_host_factors_move_their_own_stages_only():
    """Engine start and profiling by one factor, compilation by another, capture by a third."""
    plain = predict()
    for factor, moved in (
        ("engine_init_factor", {"engine_init", "kv_cache"}),
        ("compile_factor", {"compile"}),
        ("capture_factor", {"graph_capture"}),
    ):
        slow = predict(**{factor: 3.0})
        for name in STAGES:
            times = 3 if name in moved else 1
            assert slow[name].median_s == pytest.approx(times * plain[name].median_s), name


# Seconds to bring 15 GB to one A10G as the streamer's benchmark publishes them.
@pytest.mark.parametrize(
    ("storage", "loader", "readers", "published_s", "allowed"),
    [
        ("ebs-gp3", "mmap", None, 47.99, 0.01),
        ("ebs-io2", "mmap", None, 47.0, 0.01),
        ("ebs-gp3", "streamer", 1, 47.56, 0.08),
        ("ebs-gp3", "streamer", 4, 14.43, 0.08),
        ("ebs-gp3", "streamer", 16, 14.34, 0.08),
        ("ebs-io2", "streamer", 1, 43.71, 0.08),
        ("ebs-io2", "streamer", 4, 11.19, 0.08),
        ("ebs-io2", "streamer", 8, 7.53, 0.08),
        ("ebs-io2", "streamer", 16, 7.61, 0.08),
        ("s3", "streamer", 4, 28.24, 0.11),
        ("s3", "streamer", 16, 8.45, 0.08),
        ("s3", "streamer", 32, 4.88, 0.08),
        ("s3", "streamer", 64, 5.01, 0.08),
        ("ebs-gp3", "tensorizer", 16, 16.11, 0.08),
        ("s3", "tensorizer", 16, 37.36, 0.12),
    ],
)
def test_weights_take_their_bytes_over_the_slowest_link(
    storage, loader, readers, published_s, allowed
):
    """The loader rules give back the published load times from which their rates come."""
    wall = predict(storage=storage, loader=loader, readers=readers, host="aws-g5").wall_s
    assert wall["fetch"] + wall["load"] == pytest.approx(published_s, rel=allowed)


def test_serverlessllm_reads_a_32b_from_its_array_in_about_three_seconds():
    """65.5 GB from an array of 29.4 GB/s: 3.2 s published."""
    wall = predict(
        checkpoint_gb=65.5, storage="nvme-raid", loader="serverlessllm", pcie_gb_per_s=64
    ).wall_s
    assert wall["fetch"] + wall["load"] == pytest.approx(3.216, rel=0.1)


def test_downloading_adds_up_and_streaming_takes_the_longer():
    """From the same store: download then load is the sum, streaming the maximum."""
    store = {"storage": "object-store-16g", "host": "cloud-container"}
    apart = predict(loader="download", **store)
    wall = apart.wall_s
    assert wall["fetch"] == pytest.approx(15 / 2)
    assert wall["load"] == pytest.approx(15 / 3.31)
    assert apart.overlaps == ()
    together = predict(loader="streamer", pcie_gb_per_s=2.0, **store)
    fetch, load = together["fetch"].median_s, together["load"].median_s
    assert load > fetch
    assert together.wall_s["fetch"] + together.wall_s["load"] == pytest.approx(max(fetch, load))


def test_more_gpus_divide_the_copy_and_read_more_where_each_rank_reads():
    """A streamer's node gives no more for it; every rank's memory map reads as much again."""
    one, four = (predict(storage="ebs-io2", loader="streamer", gpus=n) for n in (1, 4))
    assert four["fetch"].median_s == one["fetch"].median_s
    node = TABLES.coefficient("node_pcie_gb_per_s")
    assert four["load"].median_s == pytest.approx(15 / min(4 * 0.66 * 32, node))
    assert four["engine_init"].median_s > one["engine_init"].median_s
    one, eight = (predict(storage="shared-fs-50", gpus=n) for n in (1, 8))
    assert one["fetch"].median_s == pytest.approx(15 / 1.07)
    assert eight["fetch"].median_s == pytest.approx(15 / 4.3)


def brings(place: str, loader: str) -> bool:
    try:
        predict(storage=place, loader=loader)
    except InputError:
        return False
    return True


READABLE = [pair for pair in itertools.product(TABLES.storage, TABLES.loaders) if brings(*pair)]


@pytest.mark.parametrize(("place", "loader"), READABLE)
def test_more_ranks_are_never_slower_to_bring_the_weights(place, loader):
    """Whatever loader and storage: twice the ranks bring the same bytes no later."""
    told = {"checkpoint_gb": 200.0, "storage": place, "loader": loader, "pcie_gb_per_s": 64.0}
    walls = [predict(**told, gpus=gpus).wall_s for gpus in (1, 2, 4, 8)]
    seconds = [wall["fetch"] + wall["load"] for wall in walls]
    assert all(more <= fewer + 1e-9 for fewer, more in itertools.pairwise(seconds))
    if place == "shared-fs-50" and loader not in ("streamer", "tensorizer", "serverlessllm"):
        assert seconds[-1] < seconds[0]


def test_all_gpus_of_a_node_share_its_pcie():
    """Eight GPUs of 42 GB/s each copy no more together than the node gives."""
    start = predict(checkpoint_gb=440.0, gpus=8, loader="instanttensor", pcie_gb_per_s=64.0)
    assert start["load"].median_s == pytest.approx(10.0)


def test_a_download_that_memory_cannot_keep_is_read_again_from_its_disk():
    """15 GB in 16 GB of memory come back from the disk, at the disk's rate; in 64 GB they stay."""
    told = {"storage": "hf-hub", "loader": "download", "disk": "local-ssd"}
    kept = predict(**told, host_memory_gb=64.0)
    assert kept["load"].median_s == predict(**told)["load"].median_s
    again = predict(**told, host_memory_gb=16.0)
    assert again["load"].median_s == pytest.approx(15 / 0.545)
    assert "memory is too small" in again["load"].note
    with pytest.raises(InputError, match="name the disk"):
        predict(storage="hf-hub", loader="download", host_memory_gb=16.0)


def test_kernels_are_a_part_of_the_first_forward_pass_with_a_cache_of_their_own():
    """Cold kernels lengthen the KV-cache stage by their row, cached ones by nothing."""
    told = {"engine": "vllm-2026", "gpu_family": "blackwell", "precision": "fp4"}
    cold = predict(**told, architecture="moe")
    warm = predict(**told, architecture="moe", kernel_state="cached")
    row = kernels_of("vllm-2026", "moe", "fp4", "blackwell", TABLES)
    assert cold["kv_cache"].median_s - warm["kv_cache"].median_s == pytest.approx(row.seconds)
    assert dict(cold["kv_cache"].parts)["kernels"] == row.seconds
    shipped = predict(**told, architecture="moe", kernel_state="shipped")
    assert dict(shipped["kv_cache"].parts)["kernels"] == row.tuning_s
    assert sum(seconds for _, seconds in cold["kv_cache"].parts) == pytest.approx(
        cold["kv_cache"].median_s
    )
    assert warm["kv_cache"].parts == ()
    for name in STAGES:
        if name != "kv_cache":
            assert cold[name] == warm[name]
    assert cold.with_measured("kv_cache", 9.0)["kv_cache"].parts == ()


@pytest.mark.parametrize(
    ("field", "states"),
    [
        ("image_state", ("registry", "cached")),
        ("compile_state", ("cold", "cached", "none")),
        ("kernel_state", ("cold", "shipped", "cached")),
        ("storage", ("pd-balanced", "local-nvme", "host-ram")),
    ],
)
@pytest.mark.parametrize("engine", sorted(TABLES.engines))
def test_a_cache_never_makes_a_start_longer(field, states, engine):
    """Each state that keeps more is at most as long as the one before."""
    lengths = [predict(engine=engine, **{field: state}).typical_s for state in states]
    assert lengths == sorted(lengths, reverse=True)


def test_an_image_is_transferred_and_unpacked_and_slows_what_comes_beside_it():
    """12 GB at 0.077 and again at 0.27 GB/s are 200 s; weights beside it take longer."""
    apart = predict(image_state="registry", storage="hf-hub", loader="download")
    assert apart["pull"].median_s == pytest.approx(12 / 0.077 + 12 / 0.27)
    assert apart["pull"].median_s == pytest.approx(200, rel=0.01)
    beside = predict(
        image_state="registry", storage="hf-hub", loader="download", pull_overlaps_fetch=True
    )
    slowed = apart["fetch"].median_s * 168 / 77
    assert beside["fetch"].median_s == pytest.approx(slowed, rel=0.01)
    wall = beside.wall_s
    longest = max(apart["pull"].median_s, slowed)
    assert wall["pull"] + wall["fetch"] == pytest.approx(longest, rel=0.01)


def test_weights_in_the_image_are_unpacked_with_it_and_a_measured_pull_grows_with_the_image():
    """15 GB of weights in a layer add their unpacking; a platform's own rate is by bytes."""
    told = {"image_state": "registry"}
    baked = predict(**told, weights_in_image=True)["pull"].median_s
    assert baked - predict(**told)["pull"].median_s == pytest.approx(15 / 0.27)
    one, two = (
        start_inputs_for("sagemaker", "Qwen3-8B", "L4", "bf16", image_gb=gb, tables=TABLES)
        for gb in (17.7, 35.4)
    )
    assert one.predict(TABLES)["pull"].median_s == pytest.approx(333, rel=0.01)
    assert two.predict(TABLES)["pull"].median_s == pytest.approx(666, rel=0.01)


def test_an_engine_without_warm_up_takes_longer_once():
    """Kernels are then compiled by the first request."""
    assert predict(warmed_up=True)["other"].median_s == pytest.approx(1.5)
    assert predict(warmed_up=False)["other"].median_s == pytest.approx(1.5 + 4.0)


def test_the_default_example_starts_in_the_seconds_people_report():
    """Llama-3.1-8B on one L40S of a serverless platform: 40 to 130 s."""
    start = start_inputs_for("modal", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES)
    assert 40 < start.predict(TABLES).typical_s < 130


def test_an_unknown_provider_gets_typical_values_and_the_start_says_so():
    """Nothing is made up silently: the sentence asks for a measurement."""
    assert platform_of("somebody-new", TABLES).platform == "unknown"
    start = start_inputs_for(
        "somebody-new", "Llama-3.1-8B-Instruct", "L40S", "bf16", tables=TABLES
    ).predict(TABLES)
    assert "Measure one start" in start.assumed[0]
    assert start["allocate"].basis == "assumed"


def test_every_provider_belongs_to_one_platform_and_every_platform_can_start():
    """No provider is claimed twice; each row's host, storage and loader work together."""
    claimed = [name for row in TABLES.platforms.values() for name in row.providers]
    assert len(claimed) == len(set(claimed))
    for platform in TABLES.platforms:
        start = start_inputs_for(platform, "Qwen3-8B", "L4", "bf16", tables=TABLES)
        assert start.predict(TABLES).typical_s > 10


def test_a_platforms_own_pull_time_is_for_its_own_way_of_pulling():
    """Streaming the image on a platform that states 333 s for its registry drops the 333 s."""
    start = start_inputs_for(
        "sagemaker", "Qwen3-8B", "L4", "bf16", image_state="streamed", tables=TABLES
    )
    assert start.predict(TABLES)["pull"].median_s == pytest.approx(5.5)


LUCK = np.random.default_rng(8).standard_normal((4000, LUCK_COLUMNS))
NORMALS = np.random.default_rng(7).standard_normal((4000, len(STAGES)))


def test_drawn_stages_add_up_to_the_total_even_where_they_overlap():
    """Each row of wall-clock seconds sums to its start; a group lasts as long as its longest."""
    start = predict(
        image_state="registry",
        storage="s3",
        loader="streamer",
        pull_overlaps_fetch=True,
        fetch_overlaps_init=True,
    )
    assert start.overlaps == (("pull", "engine_init", "fetch", "load"),)
    draws = start.draw(NORMALS)
    assert draws.stage_s.shape == (4000, 10)
    assert np.all(draws.stage_s >= 0)
    np.testing.assert_allclose(draws.stage_s.sum(axis=1), draws.total_s, rtol=1e-12)
    own = np.column_stack([s.seconds(NORMALS[:, i]) for i, s in enumerate(start.stages)])
    group = [STAGES.index(name) for name in start.overlaps[0]]
    np.testing.assert_allclose(draws.stage_s[:, group].sum(axis=1), own[:, group].max(axis=1))


def test_a_stage_is_log_normal_about_its_median():
    """Half the draws lie below the median, and 84 % below median times spread."""
    stage = Stage("compile", 20.0, 1.5)
    seconds = stage.seconds(NORMALS[:, 0])
    assert np.mean(seconds < 20) == pytest.approx(0.5, abs=0.03)
    assert np.mean(seconds < 30) == pytest.approx(0.841, abs=0.02)


def test_equal_normals_give_equal_starts_and_zeros_give_the_typical_one():
    """Plans that share their normals differ by plan; normals of zero are medians."""
    start = predict()
    np.testing.assert_array_equal(start.draw(NORMALS).total_s, start.draw(NORMALS).total_s)
    assert start.draw(np.zeros((1, 10))).total_s[0] == pytest.approx(start.typical_s)
    with pytest.raises(ValueError, match="read-only"):
        start.draw(NORMALS).total_s[0] = 1


def test_measured_runs_are_resampled_as_they_are_peaks_and_all():
    """Two peaks stay two peaks: nothing lies between them, each run comes equally often."""
    start = predict().with_measured("fetch", [10.0, 10.5, 90.0, 91.0])
    drawn = start.draw(NORMALS).stage_s[:, STAGES.index("fetch")]
    assert set(np.unique(drawn)) == {10.0, 10.5, 90.0, 91.0}
    assert np.mean(drawn > 50) == pytest.approx(0.5, abs=0.03)
    assert start["fetch"].basis == "measured"
    assert predict()["fetch"].basis != "measured"


def test_one_measurement_moves_the_median_and_keeps_the_spread():
    """A single run says where the stage lies and nothing of how it varies."""
    plain = predict()
    start = plain.with_measured("compile", 50.0)
    assert start["compile"].median_s == 50
    assert start["compile"].spread == plain["compile"].spread > 1


def test_measured_whole_starts_are_the_total_and_the_stages_share_them_out():
    """Totals are the runs themselves; every stage is scaled alike."""
    start = predict().with_measured("total", [50.0, 100.0])
    draws = start.draw(NORMALS)
    assert set(np.round(np.unique(draws.total_s), 9)) == {50.0, 100.0}
    assert start.typical_s == pytest.approx(75)
    share = predict().wall_s["compile"] / predict().typical_s
    assert start.wall_s["compile"] / 75 == pytest.approx(share)


def test_a_stage_nobody_measured_reads_not_measured():
    """An allocation of unknown length is None and named, never a silent 0."""
    start = predict(allocate_s=None)
    assert start["allocate"].median_s is None
    assert start.unmeasured == ("allocate",)
    assert start.typical_s == pytest.approx(predict(allocate_s=0.0).typical_s)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint_gb": 0}, "checkpoint_gb must be above 0"),
        ({"layers": -1}, "layers must be above 0"),
        ({"host": "moonbase"}, "no host called"),
        ({"storage": "ebs-gp3", "loader": "download"}, "reads remote storage"),
        ({"storage": "s3", "loader": "instanttensor"}, "reads a disk of the node or host memory"),
        ({"storage": "local-nvme", "loader": "peer"}, "reads the GPUs of another replica"),
        ({"image_state": "streamed", "weights_in_image": True}, "image that is streamed"),
        ({"kernel_state": "warm"}, "kernel_state must be one of"),
        ({"gpu_family": "volta"}, "kernels of a dense model"),
        ({"active_share": 1.5}, "active_share"),
        ({"fail_share": 1.0}, "fail_share must be a share"),
        ({"late_s": -1.0}, "late_s"),
        ({"storage": "pd-balanced", "loader": "streamer"}, "give storage_gb_per_s"),
        ({"storage": "hf-hub", "loader": "mmap"}, "reads a disk of the node or host memory"),
        ({"storage": "s3-100g", "loader": "download"}, "No rate is known"),
        ({"storage": "s3", "loader": "fastsafetensors"}, "reads a disk of the node"),
        ({"image_state": "lost"}, "image_state must be one of"),
        ({"compile_state": "warm"}, "compile_state must be one of"),
        ({"capture_sizes": -1}, "capture_sizes"),
        ({"allocate_s": -1.0}, "allocate_s"),
        ({"compile_factor": float("nan")}, "compile_factor"),
    ],
)
def test_inputs_that_make_no_sense_are_refused_with_the_reason(changes, message):
    """Each refusal names the input; a missing rate is asked for and never made up."""
    with pytest.raises(InputError, match=message):
        predict(**changes)


def test_a_rate_the_user_measured_stands_in_for_the_tables():
    """15 GB at 3 GB/s take 5 s, on a storage whose streaming rate nobody published."""
    start = predict(storage="pd-balanced", loader="streamer", storage_gb_per_s=3.0)
    assert start["fetch"].median_s == pytest.approx(5)


@pytest.mark.parametrize(
    ("stage", "seconds", "message"),
    [
        ("warp", 3.0, "no stage called"),
        ("fetch", -1.0, "measured fetch"),
        ("fetch", [], "at least one value"),
        ("total", 0.0, "more than 0"),
        ("load", float("inf"), "measured load"),
    ],
)
def test_measurements_that_make_no_sense_are_refused(stage, seconds, message):
    """A stage or a time that cannot be is named in the message."""
    with pytest.raises(InputError, match=message):
        predict().with_measured(stage, seconds)


@given(
    checkpoint_gb=st.floats(0.5, 900),
    gpus=st.sampled_from([1, 2, 4, 8]),
    place=st.sampled_from(sorted(TABLES.storage)),
    loader=st.sampled_from(sorted(TABLES.loaders)),
    host=st.sampled_from(sorted(TABLES.hosts)),
)
def test_no_start_is_quicker_than_its_bytes_over_the_fastest_link(
    checkpoint_gb, gpus, place, loader, host
):
    """Whatever the storage and loader, the weights cross PCIe no faster than its own rate."""
    try:
        start = predict(
            checkpoint_gb=checkpoint_gb, gpus=gpus, storage=place, loader=loader, host=host
        )
    except InputError:
        return
    wall = start.wall_s
    assert wall["fetch"] + wall["load"] >= checkpoint_gb / (32.0 * gpus)
    assert all(seconds >= 0 for seconds in wall.values())


def test_nothing_goes_wrong_unless_it_is_said():
    """By default no start fails or waits, and the last two columns change nothing."""
    plain = predict(storage="pd-balanced")
    np.testing.assert_array_equal(plain.draw(LUCK).total_s, plain.draw(LUCK[:, :10]).total_s)
    with pytest.raises(InputError, match=r"shape \(n, 12\)"):
        predict(fail_share=0.05).draw(NORMALS)


def test_a_share_of_starts_fails_and_is_tried_again():
    """One in twenty takes the seconds of two starts, each stage billed as it was spent."""
    told = {"storage": "pd-balanced"}
    plain, risky = predict(**told).draw(LUCK), predict(**told, fail_share=0.05).draw(LUCK)
    longer = risky.total_s > plain.total_s + 1e-9
    assert longer.mean() == pytest.approx(0.05, abs=0.01)
    np.testing.assert_array_equal(risky.total_s[~longer], plain.total_s[~longer])
    np.testing.assert_allclose(risky.stage_s.sum(axis=1), risky.total_s)
    extra = risky.total_s[longer] - plain.total_s[longer]
    assert np.median(extra) == pytest.approx(np.median(plain.total_s), rel=0.1)
    tail = [np.percentile(draws.total_s, 99, method="inverted_cdf") for draws in (plain, risky)]
    assert 1.3 < tail[1] / tail[0] < 2.2
    assert predict(**told, fail_share=0.05).typical_s == predict(**told).typical_s


def test_a_share_of_starts_waits_for_a_gpu():
    """The wait is part of the allocation, and only of those that wait."""
    plain = predict().draw(LUCK)
    late = predict(late_share=0.25, late_s=200.0).draw(LUCK)
    waited = late.stage_s[:, 0] - plain.stage_s[:, 0]
    assert np.mean(waited > 0) == pytest.approx(0.25, abs=0.02)
    assert np.median(waited[waited > 0]) == pytest.approx(200, rel=0.1)
    np.testing.assert_array_equal(late.stage_s[:, 1:], plain.stage_s[:, 1:])


def test_correlated_starts_vary_as_much_and_resemble_the_one_before():
    """Pull and fetch keep their distribution; only their order is no longer free."""
    told = {"storage": "hf-hub", "loader": "download", "image_state": "registry"}
    plain, alike = (predict(**told, correlation=r).draw(LUCK) for r in (0.0, 0.7))
    for name in ("pull", "fetch"):
        column = STAGES.index(name)
        logs = np.log(alike.stage_s[:, column])
        assert np.corrcoef(logs[1:], logs[:-1])[0, 1] == pytest.approx(0.7, abs=0.05)
        assert logs.std() == pytest.approx(np.log(plain.stage_s[:, column]).std(), rel=0.1)
    compile_s = STAGES.index("compile")
    np.testing.assert_array_equal(alike.stage_s[:, compile_s], plain.stage_s[:, compile_s])


@pytest.mark.parametrize("key", sorted(TABLES.start_risks))
def test_every_preset_of_what_goes_wrong_can_be_drawn(key):
    """Each row makes a start no shorter than one in which nothing goes wrong."""
    row = TABLES.start_risks[key]
    names = ("fail_share", "late_share", "late_s", "correlation")
    start = predict(**{name: getattr(row, name) for name in names})
    assert start.draw(LUCK).total_s.mean() >= predict().draw(LUCK).total_s.mean() * 0.97

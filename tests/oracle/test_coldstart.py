"""The stages of a start against hand-worked sums and the published rates they were made from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontier.errors import InputError
from frontier.start.predict import StartInputs, platform_of, start_inputs_for
from frontier.start.stages import STAGES, ColdStart, Stage
from frontier.tables import load_columns, load_tables

TABLES = load_tables()


TOLD = {
    "checkpoint_gb": 15.0,
    "params_b": 8.0,
    "layers": 32,
    "capture_fit": "other",
    "pcie_gb_per_s": 32.0,
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


def test_every_gpu_says_how_its_graphs_are_captured():
    """No GPU falls back to a fit it was not given: an empty or unknown one is refused."""
    column = next(c for c in load_columns()["gpus"] if c.column == "capture_fit")
    assert column.required
    for fit in column.choices:
        assert TABLES.coefficient(f"capture_{fit}_per_b_s") > 0
    assert {gpu.capture_fit for gpu in TABLES.gpus.values()} == set(column.choices)
    with pytest.raises(TypeError, match="capture_fit"):
        StartInputs(**{k: v for k, v in TOLD.items() if k != "capture_fit"})


def test_stages_are_the_sums_worked_out_by_hand():
    """An 8B of 32 layers on a host of factor 1 with the fits of the published profiler."""
    cold = predict(compile_state="cold")
    assert cold["allocate"].median_s == 5
    assert cold["pull"].median_s == 0
    assert cold["engine_init"].median_s == pytest.approx(8.69)
    assert cold["load"].median_s == pytest.approx(15 / 8.25)
    assert cold["compile"].median_s == pytest.approx(32 * (0.167 + 0.489) + 0.12 + 2.29)
    assert cold["kv_cache"].median_s == pytest.approx(0.194 * 8 + 2.57)
    assert cold["graph_capture"].median_s == pytest.approx(0.133 * 8 + 0.62)
    cached = predict(compile_state="cached", capture_fit="large", capture_sizes=8)
    assert cached["compile"].median_s == pytest.approx(32 * (0.167 + 0.144) + 0.12 + 0.03)
    assert cached["graph_capture"].median_s == pytest.approx((0.043 * 8 + 0.94) * 8 / 67)
    assert predict(compile_state="none", capture_sizes=0)["compile"].median_s == 0


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


def test_more_gpus_divide_the_copy_and_not_the_read():
    """Tensor parallelism splits host to GPU; storage gives no more for it."""
    one, four = (predict(storage="ebs-io2", loader="streamer", gpus=n) for n in (1, 4))
    assert four["fetch"].median_s == one["fetch"].median_s
    assert four["load"].median_s == pytest.approx(one["load"].median_s / 4)
    assert four["engine_init"].median_s > one["engine_init"].median_s


def test_an_image_from_the_registry_is_bytes_over_its_rate_and_slows_what_comes_beside_it():
    """12 GB at 0.06 GB/s is 200 s; beside it the weights take 2.18 times as long."""
    apart = predict(image_state="registry", storage="hf-hub", loader="download")
    assert apart["pull"].median_s == pytest.approx(200)
    beside = predict(
        image_state="registry", storage="hf-hub", loader="download", pull_overlaps_fetch=True
    )
    slowed = apart["fetch"].median_s * 168 / 77
    assert beside["fetch"].median_s == pytest.approx(slowed, rel=0.01)
    wall = beside.wall_s
    assert wall["pull"] + wall["fetch"] == pytest.approx(max(200, slowed), rel=0.01)


def test_a_mixture_of_experts_and_an_engine_without_warm_up_take_longer_once():
    """Kernels are compiled inside the first capture, or by the first request."""
    assert (
        predict(architecture="moe")["graph_capture"].median_s > predict()["graph_capture"].median_s
    )
    warm = predict(architecture="moe", compile_state="cached")
    assert (
        warm["graph_capture"].median_s == predict(compile_state="cached")["graph_capture"].median_s
    )
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
        ({"storage": "ebs-gp3", "loader": "download"}, "not remote"),
        ({"storage": "pd-balanced", "loader": "streamer"}, "give storage_gb_per_s"),
        ({"storage": "hf-hub", "loader": "mmap"}, "No rate is known"),
        ({"storage": "s3", "loader": "fastsafetensors"}, "reads a local disk"),
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

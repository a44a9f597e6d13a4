"""The command line: the same answer, one clear line for a mistake."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from frontier.cli import main
from frontier.tables import load_tables


@pytest.fixture
def trace_file(tmp_path):
    """Write a day of sparse requests in the product's own columns."""
    generator = np.random.default_rng(3)
    times = np.sort(generator.uniform(0, 86_400, 300))
    path = tmp_path / "trace.csv"
    pd.DataFrame({"timestamp": times, "prompt_tokens": 800, "output_tokens": 200}).to_csv(
        path, index=False
    )
    return path


_SCENARIO = [
    "--model=Llama-3.1-8B-Instruct",
    "--serverless=modal-l40s",
    "--dedicated=crusoe-l40s",
]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_sweep_prints_the_answer_and_writes_the_table(trace_file, tmp_path, capsys, suffix):
    """The headline is printed; the file holds one row a plan with cost and p99."""
    out = tmp_path / f"frontier.{suffix}"
    assert main(["sweep", f"--trace={trace_file}", *_SCENARIO, f"--out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "an hour." in printed
    plans = (
        pd.read_csv(out)
        if suffix == "csv"
        else pd.DataFrame(json.loads(out.read_text(encoding="utf-8"))["plans"])
    )
    assert {"plan_id", "usd_per_month", "p99_ttft_s", "efficient"} <= set(plans.columns)
    assert plans["efficient"].any()


def test_sweep_writes_what_the_page_offers(trace_file, tmp_path, capsys):
    """Workbook, record and JSON of a chosen plan, and what is included, from one command."""
    outs = [tmp_path / f"all.{suffix}" for suffix in ("xlsx", "html", "json")]
    told = ["sweep", f"--trace={trace_file}", *_SCENARIO, "--included", "--plan=reserved-1"]
    told += ["--commitment=preset-35", *(f"--out={out}" for out in outs)]
    assert main(told) == 0
    printed = capsys.readouterr().out
    assert "Not in it" in printed
    assert "Egress" in printed
    book, page, everything = (out.read_bytes() for out in outs)
    assert book[:2] == b"PK"
    assert "Reserved × 1" in page.decode()
    assert json.loads(everything)["plan"]["id"] == "reserved-1"


def test_a_cluster_of_one_s_own_is_an_offer(trace_file, tmp_path, capsys):
    """Nodes are named with what scales them; what a bought machine amortises to is said."""
    told = ["sweep", f"--trace={trace_file}", "--model=Llama-3.1-8B-Instruct", "--included"]
    rented = ["--serverless=aws-l40s-4x", "--dedicated=aws-l40s", "--nodes=karpenter"]
    assert main([*told, *rented, "--pods=knative", "--node-delay=45", "--weights-on-node"]) == 0
    printed = capsys.readouterr().out
    assert "kept 45 s after its last pod (as you set it)" in printed
    assert "Pods by Knative" in printed
    assert "the weights on its disk" in printed
    assert "4 replicas share a node of 4 GPUs" in printed
    out = tmp_path / "owned.json"
    owned = ["--serverless=on-premises", "--dedicated=on-premises", "--nodes=kept"]
    owned += ["--owned-machine=gpu=L40S,usd=90000,gpus=8", "--kept-nodes=1", f"--out={out}"]
    assert main([*told, *owned]) == 0
    printed = capsys.readouterr().out
    assert "An amortisation, not a price" in printed
    assert "1 node of 8 GPUs kept" in printed
    assert json.loads(out.read_text(encoding="utf-8"))["usd_by_line"]["unused GPUs"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nodes=slurm"], "slurm"),
        (["--nodes=karpenter", "--pods=cron"], "cron"),
        (["--nodes=karpenter", "--node-delay=-1"], "at least 0 s"),
        (["--node-delay=30"], "--node-delay needs --nodes"),
        (["--nodes=karpenter", "--owned-machine=usd=1"], "name its GPU"),
    ],
)
def test_nodes_that_make_no_sense_are_one_line(trace_file, capsys, arguments, words):
    """The refusal names what was given."""
    told = ["sweep", f"--trace={trace_file}", "--model=Llama-3.1-8B-Instruct"]
    told += ["--serverless=aws-l40s-4x", "--dedicated=aws-l40s", *arguments]
    assert main(told) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_break_even_prints_the_page_s_sentences_and_writes_its_points(trace_file, tmp_path, capsys):
    """Where the lines cross or that they do not, what would flip it, and a row a line and rate."""
    out = tmp_path / "rates.csv"
    assert main(["break-even", f"--trace={trace_file}", *_SCENARIO, f"--out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "you have 300" in printed
    assert "Break-even by the bills" in printed
    points = pd.read_csv(out)
    assert set(points["line"]) == {"shipped", "cheapest", "always-on"}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], "command"),
        (["fly"], "fly"),
        (["sweep"], "--trace"),
        (["sweep", "--trace=nowhere.csv", *_SCENARIO], "nowhere.csv"),
        (["sweep", "--trace=TRACE", "--model=Lama", *_SCENARIO[1:]], "Lama"),
        (["sweep", "--trace=TRACE", _SCENARIO[0], "--serverless=x", _SCENARIO[2]], "'x'"),
        (["sweep", "--trace=TRACE", *_SCENARIO[:2], "--dedicated=modal-l40s"], "serverless"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--slo-p99-ttft=-1"], "--slo-p99-ttft"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--slo-p99-ttft=soon"], "soon"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--out=x.pdf"], "x.pdf"),
        (["break-even", "--trace=TRACE", *_SCENARIO, "--out=x.xlsx"], "x.xlsx"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--plan=free"], "free"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--commitment=mine"], "mine"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--precision=fp3"], "fp3"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--max-replicas=0"], "--max-replicas"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--columns=when"], "'when'"),
        (["sweep", "--trace=TRACE", *_SCENARIO, "--columns=time=when"], "'when'"),
    ],
)
def test_a_bad_argument_gets_one_line_and_exit_code_2(trace_file, capsys, arguments, names):
    """One line on the error stream that names what was wrong, nothing else, exit code 2."""
    told = [word.replace("TRACE", str(trace_file)) for word in arguments]
    assert main(told) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert names in captured.err


def test_a_question_names_the_option_that_answers_it(tmp_path, capsys):
    """Seconds or milliseconds: asked once, with both readings; the answer is then taken."""
    path = tmp_path / "trace.jsonl"
    rows = [{"timestamp": 7 * n, "input_length": 500, "output_length": 50} for n in range(200)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert main(["sweep", f"--trace={path}", *_SCENARIO]) == 2
    asked = capsys.readouterr().err
    assert "--time-unit" in asked
    assert "seconds" in asked
    assert "milliseconds" in asked
    assert main(["sweep", f"--trace={path}", *_SCENARIO, "--time-unit=s"]) == 0


def test_paths_and_metrics_are_told_by_options(tmp_path, capsys):
    """Which path of a log counts, and which of two metrics, is asked with its option."""
    log = tmp_path / "access.log"
    log.write_text(
        "\n".join(
            f'1.1.1.1 - - [30/Mar/2026:02:{n:02}:07 +0000] "POST /ask HTTP/1.1" 200 5'
            for n in range(60)
        ),
        encoding="utf-8",
    )
    assert main(["sweep", f"--trace={log}", *_SCENARIO]) == 2
    assert "--paths (/ask: /ask: 60 requests; all:" in capsys.readouterr().err
    assert main(["sweep", f"--trace={log}", *_SCENARIO, "--paths=/ask"]) == 0
    counts = tmp_path / "counts.json"
    series = [
        {
            "metric": {"__name__": name},
            "values": [[1767225600 + 60 * n, str(n)] for n in range(60)],
        }
        for name in ("a_requests_total", "b_requests_total")
    ]
    document = {"data": {"resultType": "matrix", "result": series}}
    counts.write_text(json.dumps(document), encoding="utf-8")
    assert main(["sweep", f"--trace={counts}", *_SCENARIO]) == 2
    assert "--metric (a_requests_total: " in capsys.readouterr().err
    assert main(["sweep", f"--trace={counts}", *_SCENARIO, "--metric=b_requests_total"]) == 0


def test_a_file_that_cannot_be_written_is_said(trace_file, tmp_path, capsys):
    """A folder of that name stands in the way: one line, exit code 2, no traceback."""
    (tmp_path / "taken.csv").mkdir()
    assert main(["sweep", f"--trace={trace_file}", *_SCENARIO, f"--out={tmp_path}/taken.csv"]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_offers_are_listed_one_a_line(capsys):
    """Id, kind, provider, GPU, price and date of every offer."""
    assert main(["offers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 30
    priced_on = str(load_tables().offers["modal-l40s"].priced_on)
    assert any("modal-l40s" in line and "1.951" in line and priced_on in line for line in lines)


def test_models_are_listed_one_a_line(capsys):
    """At least forty models, each with the precisions there are."""
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 40
    assert any("Llama-3.1-8B-Instruct" in line and "bf16" in line for line in lines)


def test_validate_speed_prints_every_case_and_the_errors_of_each_group(capsys):
    """Kept-back cases come first; each line has both figures, the error and the use."""
    assert main(["validate", "speed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cases = [line for line in lines if "  predicted " in line]
    uses = [line.rsplit("  ", 1)[1] for line in cases]
    assert uses == sorted(uses)
    assert set(uses) == {"kept back", "used in a fit"}
    assert any(line.startswith("speed, all (kept back): median absolute error") for line in lines)


def test_validate_all_prints_starts_speeds_and_simulations(capsys):
    """Each under its title, in that order."""
    assert main(["validate", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [lines.index(title) for title in ("Starts", "Speeds", "Simulations")]
    assert titles == sorted(titles)
    assert any(line.startswith("simulation, closed form (kept back)") for line in lines)


_CONFIG = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}


def test_an_own_model_gives_the_answer_of_the_same_model_in_the_table(trace_file, tmp_path, capsys):
    """The configuration of an 8B is that 8B: same headline, and it is said what was read."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(_CONFIG), encoding="utf-8")
    assert main(["sweep", f"--trace={trace_file}", "--model=Llama-3-8B", *_SCENARIO[1:]]) == 0
    listed = capsys.readouterr().out
    assert main(["sweep", f"--trace={trace_file}", f"--model-config={path}", *_SCENARIO[1:]]) == 0
    own = capsys.readouterr().out
    assert own.splitlines()[0] == listed.splitlines()[0]
    assert "Your model: 8.0 B parameters, 131 kB of cache a token, 16.1 GB in bf16." in own


def test_a_config_is_printed_as_the_line_of_the_table(tmp_path, capsys):
    """In words, and as the line that a contributor pastes into data/models.csv."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(_CONFIG), encoding="utf-8")
    assert main(["models", f"--config={path}"]) == 0
    words, line = capsys.readouterr().out.splitlines()
    assert words == "Your model: 8.0 B parameters, 131 kB of cache a token, 16.1 GB in bf16."
    assert line.startswith("yours,yours,Your own,dense,8.03")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no file"), ("{}", "no model's config.json"), ('{"model_type": "bert"}', "bert")],
)
def test_what_is_no_config_is_refused_in_one_line(trace_file, tmp_path, capsys, content, words):
    """A missing file, other JSON and an encoder: exit code 2 and one line each."""
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["sweep", f"--trace={trace_file}", f"--model-config={path}", *_SCENARIO[1:]]) == 2
    refusal = capsys.readouterr().err
    assert words in refusal
    assert refusal.count("\n") == 1


def test_cores_and_memory_of_a_replica_change_the_bill_alone(trace_file, tmp_path, capsys):
    """More of both: the same p99 of every plan, and a dearer scale-to-zero."""
    tables = []
    for name, more in (("few", []), ("many", ["--vcpus=32", "--ram-gib=200"])):
        out = tmp_path / f"{name}.csv"
        told = ["sweep", f"--trace={trace_file}", *_SCENARIO, *more, "--included", f"--out={out}"]
        assert main(told) == 0
        tables.append(pd.read_csv(out).set_index("plan_id"))
    printed = capsys.readouterr().out
    assert "32 vCPU (16 physical cores) and 200 GiB of host memory a replica" in printed
    few, many = tables
    assert few["p99_ttft_s"].equals(many["p99_ttft_s"])
    scaled, dedicated = few["family"] == "scale-to-zero", few["family"] == "dedicated"
    assert (many["usd_per_month"] > few["usd_per_month"])[scaled].all()
    assert few["usd_per_month"][dedicated].equals(many["usd_per_month"][dedicated])


@pytest.mark.parametrize(
    ("offer", "option", "words"),
    [
        ("modal-l40s", "--vcpus=1e6", "cores a replica uses: expected 0.1 to 512 vCPU"),
        ("modal-l40s", "--vcpus=0", "vcpus: expected a number above 0, found 0.0"),
        ("koyeb-l40s", "--ram-gib=40", "--ram-gib: neither offer has cores or memory on meters"),
    ],
)
def test_absurd_or_idle_amounts_are_refused(trace_file, capsys, offer, option, words):
    """One line: what was expected, or that it would change nothing."""
    scenario = [part.replace("modal-l40s", offer) for part in _SCENARIO]
    assert main(["sweep", f"--trace={trace_file}", *scenario, option]) == 2
    assert words in capsys.readouterr().err

"""The plan as configuration: printed to be piped, listed with reasons, shown on the page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from frontier.cli import main

_ASKED = ["--model=Llama-3.1-8B-Instruct", "--serverless=runpod-flex-l40s", "--dedicated=aws-l40s"]


@pytest.fixture(scope="module")
def trace_file(tmp_path_factory):
    """Write two days of sparse requests in the product's own columns."""
    times = np.sort(np.random.default_rng(3).uniform(0, 2 * 86_400, 200))
    path = tmp_path_factory.mktemp("config") / "trace.csv"
    pd.DataFrame({"timestamp": times, "prompt_tokens": 800, "output_tokens": 200}).to_csv(
        path, index=False
    )
    return path


def run(trace_file, *told):
    return main(["config", f"--trace={trace_file}", *_ASKED, *told])


def test_the_text_goes_to_a_pipe_and_the_words_beside_it(trace_file, capsys):
    """What is printed parses as it is; what it lacks and what is to fill in is said apart."""
    assert run(trace_file, "--plan=zero-5s", "--max-replicas=4") == 0
    out, err = capsys.readouterr()
    endpoint = json.loads(out)["endpoint"]
    assert (endpoint["workersMin"], endpoint["workersMax"], endpoint["idleTimeout"]) == (0, 4, 5)
    assert "What this cannot express" in err
    assert "YOUR-WORKER-VLLM-IMAGE" in err


def test_each_target_is_listed_once_and_a_refusal_says_why(trace_file, capsys):
    """A plan of machines is no endpoint of RunPod, and its own target is a Deployment."""
    assert run(trace_file, "--plan=dedicated-2", "--list") == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split()[0] == "deployment"
    assert any(
        line.startswith("runpod") and "not for this plan: the plan" in line for line in listed
    )
    assert run(trace_file, "--plan=dedicated-2", "--target=runpod") == 2
    assert "No configuration of RunPod for this plan" in capsys.readouterr().err
    assert run(trace_file, "--plan=dedicated-2", "--target=keda") == 0
    kinds = [document["kind"] for document in yaml.safe_load_all(capsys.readouterr().out)]
    assert kinds == ["Deployment", "Service", "ScaledObject"]

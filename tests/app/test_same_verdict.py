"""Page, Break-even, command line, report and workbook say the same, word for word."""

from __future__ import annotations

import html
import io
import json
import zipfile

import pandas as pd
import pytest

from frontier.cli import main
from tests.app.test_pages import _run_page

OFFERS = (
    ("modal-l40s", "crusoe-l40s", "2"),
    ("runpod-flex-l40s", "verda-l40s-spot", "30"),
    ("modal-h100", "lambda-h100-8x", "0.05"),
)


def _said(capsys):
    return capsys.readouterr().out


@pytest.mark.parametrize(("serverless", "dedicated", "limit"), OFFERS)
def test_command_line_report_and_workbook_say_the_same(
    serverless, dedicated, limit, tmp_path, capsys
):
    """The headline printed is that of every file; break-even's sentence is its last one."""
    trace = tmp_path / "trace.csv"
    pd.DataFrame(
        {
            "timestamp": [index * 700.0 + 40.0 * (index % 3) for index in range(300)],
            "prompt_tokens": [500 + 40 * (index % 9) for index in range(300)],
            "output_tokens": [100 + 20 * (index % 7) for index in range(300)],
        }
    ).to_csv(trace, index=False)
    told = [
        f"--trace={trace}",
        "--model=Llama-3.1-8B-Instruct",
        f"--serverless={serverless}",
        f"--dedicated={dedicated}",
        f"--slo-p99-ttft={limit}",
    ]
    files = {suffix: tmp_path / f"out.{suffix}" for suffix in ("json", "html", "xlsx")}
    assert main(["sweep", *told, "--annex", *(f"--out={path}" for path in files.values())]) == 0
    headline, below, *_ = _said(capsys).splitlines()
    assert main(["break-even", *told]) == 0
    assert headline.endswith(_said(capsys).splitlines()[0])
    document = json.loads(files["json"].read_text(encoding="utf-8"))
    assert document["headline"] == headline
    assert document["reasons"][0] == below.strip()
    page = html.unescape(files["html"].read_text(encoding="utf-8"))
    with zipfile.ZipFile(io.BytesIO(files["xlsx"].read_bytes())) as book:
        sheets = html.unescape(book.read("xl/sharedStrings.xml").decode("utf-8"))
    for said in (headline, *document["reasons"]):
        assert said in page
        assert said in sheets


def test_frontier_and_break_even_pages_say_the_same(open_app):
    """The rate in the Frontier page's headline is the Break-even page's own first sentence."""
    said = [one.value.replace("\\$", "$") for one in open_app().markdown]
    (beside,) = [one for one in said if one.startswith("Scale-to-zero costs ")]
    page = _run_page("frontier.pages.break_even", "internal-rag")
    assert not page.exception
    assert beside.endswith(page.subheader[0].value)

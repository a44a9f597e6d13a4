"""Options that several commands have: traffic and model, a pair of offers, files to write."""

from __future__ import annotations

import argparse


def add_out(parser: argparse.ArgumentParser, what: str) -> None:
    """Add where to write; ``what`` says the kinds of files and what each holds."""
    parser.add_argument(
        "--out",
        action="append",
        default=[],
        metavar="FILE",
        help=f"write {what}; may be given several times",
    )


def add_scenario(parser: argparse.ArgumentParser) -> None:
    """Add what every command asks that compares the plans of a pair of offers on a trace."""
    add = parser.add_argument
    add_traffic_and_model(parser)
    add("--serverless", required=True, metavar="OFFER", help="see: offers")
    add("--dedicated", required=True, metavar="OFFER", help="see: offers")
    add(
        "--nodes",
        metavar="NAME",
        help="the machines of --serverless are nodes of your own cluster, started and released by "
        "karpenter, cluster-autoscaler or gke, or kept",
    )
    add("--pods", metavar="NAME", help="what scales the pods on them: keda (default), knative, …")
    add("--node-delay", type=float, metavar="S", help="how long a node outlives its last pod")
    add("--kept-nodes", type=int, metavar="N", help="nodes that are up whether used or not")
    add("--gpus-per-node", type=int, metavar="N", help="GPUs of a node, if the offer has several")
    add("--weights-on-node", action="store_true", help="the next pod reads them from its disk")
    add(
        "--exact-machine",
        action="store_true",
        help="bill on the machine of the dedicated offer, not on the shape of it that costs least",
    )
    add("--vcpus", type=float, metavar="N", help="vCPU a replica uses, where they are metered")
    add("--ram-gib", type=float, metavar="N", help="host memory a replica uses, where metered")
    add("--asked-vcpus", type=float, metavar="N", help="vCPU requested for a replica")
    add("--asked-ram-gib", type=float, metavar="N", help="host memory requested for a replica")
    add(
        "--weights-in-ram",
        choices=("yes", "no"),
        help="whether weights stay in host memory; by the loader",
    )


def add_scheduler(parser: argparse.ArgumentParser) -> None:
    """Add on which cluster to simulate."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="simulate on the workers of a Dask cluster: tcp://host:8786 (docs/scale.md)",
    )


def add_traffic_and_model(parser: argparse.ArgumentParser) -> None:
    """Add what every command asks that looks at plans: traffic, model, limit, commitment."""
    add = parser.add_argument
    add(
        "--trace",
        required=True,
        action="append",
        metavar="[NAME=]FILE",
        help="request log to read; given several times, with names, they are added up",
    )
    add("--align", metavar="HOW", help="several traces: by clock, by hour of the week, or start")
    add("--spans", metavar="HOW", help="where they cover different times: common, silent, repeat")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="see: models")
    which.add_argument("--model-config", metavar="FILE", help="config.json of your own model")
    add(
        "--owned-machine",
        metavar="gpu=NAME,…",
        help="a machine you bought becomes the offer on-premises: gpu, gpus, usd, months, watts, "
        "pue, usd_per_kwh, colocation_usd_month; what is left out is assumed",
    )
    add("--precision", metavar="NAME", help="bf16, fp8, int4, fp4; the model's own")
    add("--kv-precision", metavar="NAME", help="of the cache: bf16 (default), fp8")
    add("--slo-p99-ttft", type=float, metavar="S", help="limit in seconds")
    add("--max-replicas", type=int, metavar="N", help="most replicas of a plan")
    add("--autoscaler", metavar="NAME", help="what starts replicas: instant, knative, keda-hpa, …")
    add("--commitment", metavar="ID", help="buy always-on machines under it: data/commitments.csv")
    add("--time-unit", metavar="UNIT", help="unit of the trace's times, if asked")
    add(
        "--time-zone",
        metavar="PLACE",
        help="where the clock stood, if the name of its zone leaves it open",
    )
    add("--on-clock-reset", metavar="HOW", help="two logs in one file, if asked")
    add(
        "--by-prefix",
        action="store_true",
        help="always-on replicas: send a request where the beginning of its prompt is cached",
    )
    add(
        "--cached-share",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="part of a prompt (0 to 1) that a warm cache has, where the trace does not say",
    )
    add("--trace-model", metavar="NAME", help="one of several in the trace, or all")
    add("--session-starts", metavar="HOW", help="sessions without a date, if asked")
    add("--counts", metavar="KIND", help="what a rate series counts, if asked")
    add("--metric", metavar="NAME", help="the metric that counts requests, if asked")
    add("--paths", metavar="PATH,…", help="paths of an access log that count, or all")
    add(
        "--columns",
        metavar="ROLE=NAME,…",
        help="columns by hand: time, prompt_tokens, output_tokens, model, session_id; and where "
        "rows count requests: requests, bucket_end or bucket_length",
    )
    add("--rows-are", metavar="WHAT", help="requests or buckets of several, if asked")
    add("--bucket-tokens", metavar="WHAT", help="tokens of a bucket: their sum or mean, if asked")
    add(
        "--far-rows", metavar="WHICH", help="requests before or after a long gap, or keep, if asked"
    )
    add("--both-zero", metavar="HOW", help="drop or keep requests without any token, if asked")
    add("--losses", metavar="HOW", help="accept: read what is left of a broken file")
    add("--max-rows", type=int, metavar="N", help="read up to N rows of the trace")
    add("--max-bytes", type=int, metavar="N", help="and up to N bytes, unpacked")

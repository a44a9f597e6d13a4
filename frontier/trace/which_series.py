"""Of the series in a file, those that count requests to one deployment, and those of its tokens.

Series are added up only where they count the same thing: requests of one metric, to paths that
generate text, that reached the model, each seen once. What else is in the file is left out with its
number of samples; where two readings are possible the person is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontier import spell
from frontier.errors import InputError
from frontier.tables import Tables
from frontier.trace import metrics
from frontier.trace.checks import Findings
from frontier.trace.formats import listed
from frontier.trace.metrics import OUTPUT, PROMPT, REQUESTS, UNKNOWN
from frontier.trace.model import TraceQuestion
from frontier.trace.paths import ALL, OTHER_PATHS, PathFilter, bare

Labels = Mapping[str, str]


def _keys(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_METHODS = _keys("method http_method http_request_method request_method verb")
_VERBS = frozenset(_keys("GET PUT DELETE HEAD OPTIONS PATCH CONNECT TRACE"))
_PATHS = _keys(
    "handler path uri route http_route http_target url request_path endpoint resource_name"
)
_STATUSES = _keys(
    """status status_code code response_code response_code_class http_status_code http_code
    http_response_status_code envoy_response_code envoy_response_code_class code_class"""
)
_REFUSED = re.compile(r"3(?:xx|\d\d)?|4(?:xx|[013-8]\d|2[0-8]|9[0-8])?", re.IGNORECASE)
_MODELS = _keys(
    """model_name model model_id served_model_name modelname modelid model_group requested_model
    series configuration_name destination_service_name destination_service destination_workload
    inferenceservice exported_service service service_name ingress endpointname endpoint_name
    envoy_cluster_name backend upstream proxy_upstream_name deployment application job host
    namespace exported_namespace Id"""
)
_TOTALS = frozenset(_keys("total sum all overall"))
# Labels under which the same requests are counted twice, and the value kept where there is one.
_TWICE = {"reporter": "destination", "prometheus_replica": "", "__replica__": ""}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Numbers of the series that count requests, and of those that sum their tokens.

    ``metric`` is the name of what counts requests, None where series have no names.
    """

    requests: NDArray[np.intp]
    prompt: NDArray[np.intp]
    output: NDArray[np.intp]
    metric: str | None


def choose(
    labels: Sequence[Labels],
    samples: NDArray[np.int64],
    amount: Callable[[int], float],
    *,
    metric: str | None,
    model: str | None,
    web: PathFilter,
    findings: Findings,
    tables: Tables,
) -> Chosen:
    """Return which series to add up.

    Parameters
    ----------
    labels : sequence of mapping
        Labels of each series.
    samples : ndarray of int, shape (n,)
        Samples of each.
    amount : callable
        About how many requests a series counts, if it does.
    metric, model : str or None
        The user's answers: which metric, and which of several models or services ("all").
    web : PathFilter
        Which paths count.
    findings : Findings
        Takes the samples left out and what was added up.
    tables : Tables
        For the settings.

    Raises
    ------
    TraceQuestion
        If several metrics count requests, or there are several models.
    InputError
        If nothing counts requests, in words that name what would.
    """
    means = [_meaning(label) for label in labels]
    keys = [_key(label) for label in labels]
    chosen = _metric(keys, means, samples, metric, tables)
    kept = np.array([at for at, key in enumerate(keys) if key in chosen], dtype=np.intp)
    tokens = {
        role: _one_metric([at for at, mean in enumerate(means) if mean == role], keys)
        for role in (PROMPT, OUTPUT)
    }
    used = set(kept.tolist()).union(*(some.tolist() for some in tokens.values()))
    others = [at for at in range(len(labels)) if at not in used]
    _drop(others, samples, "samples of other metrics", findings)
    unused = sorted({keys[at] or "" for at in others if means[at] == REQUESTS})
    if unused:
        findings.notes.append(
            f"Requests are counted by {' + '.join(sorted(key or '' for key in chosen))}; "
            f"{listed(unused)} count them too and are not added."
        )
    unclear = sorted({keys[at] or "" for at in kept if means[at] == UNKNOWN} - {""})
    if unclear:
        findings.assumed.append(f"{listed(unclear)} is taken to count requests: its name is open.")
    kept = _once(kept, labels, samples, findings)
    kept = _reached(kept, labels, samples, amount, web, findings, tables)
    picked = _model(kept, labels, samples, model, findings, tables)
    if picked is not None:
        key, value = picked
        ours = [at for at in kept if labels[at].get(key, "") == value]
        _drop([at for at in kept if at not in ours], samples, "samples of other models", findings)
        kept = np.array(ours, dtype=np.intp)
        for role, some in tokens.items():
            same = [at for at in some if labels[at].get(key, value) == value]
            _drop([at for at in some if at not in same], samples, "samples of other models",
                  findings)  # fmt: skip
            tokens[role] = np.array(same, dtype=np.intp)
    _say_added(kept, labels, findings)
    names = {labels[at].get("__name__") for at in kept}
    return Chosen(kept, tokens[PROMPT], tokens[OUTPUT], names.pop() if len(names) == 1 else None)


def _meaning(label: Labels) -> str:
    if "le" in label or "quantile" in label:
        return metrics.OTHER
    if label.get("__kind__") == "GAUGE":
        return metrics.LEVEL
    return metrics.meaning(label.get("__name__"), label.get("__statistic__"))


def _key(label: Labels) -> str | None:
    name, statistic = label.get("__name__"), label.get("__statistic__")
    if name is None or statistic in (None, "Sum", "total"):
        return name
    return f"{name} ({statistic})"


def _rank(key: str) -> int:
    counted = key.endswith((" (SampleCount)", " (count)"))
    return 2 * counted + metrics.rank(key.partition(" (")[0])


def _metric(
    keys: Sequence[str | None],
    means: Sequence[str],
    samples: NDArray[np.int64],
    told: str | None,
    tables: Tables,
) -> frozenset[str | None]:
    """Return the names of the series that count requests; None is that of series without one."""
    found = dict(zip(keys, means, strict=True))
    if told is not None and told != ALL:
        if told not in found:
            raise InputError(
                f"There is no metric '{told}' in the file; there are "
                f"{listed([key for key in found if key])}."
            )
        if found[told] not in (REQUESTS, UNKNOWN):
            raise InputError(_refusal({told: found[told]}))
        return frozenset((told,))
    candidates = [key for key, mean in found.items() if mean == REQUESTS and key]
    if candidates:
        best = min(_rank(key) for key in candidates)
        candidates = [key for key in candidates if _rank(key) == best]
    else:
        unknown = [key for key, mean in found.items() if mean == UNKNOWN]
        if not unknown:
            raise InputError(_refusal({key: mean for key, mean in found.items() if key}))
        named = [key for key in unknown if key]
        if len(named) < 2 and (not named or len(unknown) == 1):
            return frozenset(unknown)
        candidates = named
    if len(candidates) == 1 or told == ALL:
        return frozenset(candidates)
    most = int(tables.setting("trace_most_models"))
    number = Counter[str | None]()
    for held, some in zip(keys, samples.tolist(), strict=True):
        number[held] += some
    raise TraceQuestion(
        f"{len(candidates)} metrics in the file may count requests. Which one does?",
        "metric",
        (
            *((key, f"{key}: {spell.count(number[key], 'sample')}") for key in candidates[:most]),
            (ALL, "All of them added up, as they count different requests"),
        ),
    )


def _refusal(found: Mapping[str, str]) -> str:
    averaged = [key for key in found if key.endswith(("e)", "m)")) and " (" in key]
    if len(averaged) == len(found):
        return (
            f"Nothing in the file counts requests: {listed(averaged)}. Take the statistic Sum "
            "of a metric of requests."
        )
    return metrics.refusal(found)


def _one_metric(some: Sequence[int], keys: Sequence[str | None]) -> NDArray[np.intp]:
    """Return the series of one metric: the same tokens may be counted by several."""
    names = sorted({keys[at] or "" for at in some}, key=lambda key: (key.endswith("_sum"), key))
    return np.array([at for at in some if names and (keys[at] or "") == names[0]], dtype=np.intp)


def _drop(
    some: Sequence[int] | NDArray[np.intp],
    samples: NDArray[np.int64],
    reason: str,
    findings: Findings,
) -> None:
    number = int(sum(samples[at] for at in some))
    if number:
        findings.dropped[reason] += number


def _once(
    kept: NDArray[np.intp], labels: Sequence[Labels], samples: NDArray[np.int64], findings: Findings
) -> NDArray[np.intp]:
    """Leave out series that count what others count: by another reporter, or as their total."""
    for key, preferred in _TWICE.items():
        values = {labels[at].get(key, "") for at in kept} - {""}
        if len(values) > 1:
            best = preferred if preferred in values else min(values)
            again = [at for at in kept if labels[at].get(key, best) != best]
            _drop(again, samples, f"samples that count the same requests again ({key})", findings)
            kept = np.setdiff1d(kept, again)
    totals = [at for at in kept if labels[at].get("series", "").strip().lower() in _TOTALS]
    if totals and len(totals) < kept.size:
        _drop(totals, samples, "samples of a total of the other series", findings)
        kept = np.setdiff1d(kept, totals)
    return kept


def _first(label: Labels, keys: Sequence[str]) -> str | None:
    return next((label[key] for key in keys if label.get(key)), None)


def _path(label: Labels) -> str | None:
    """Return the path in a series' labels."""
    found = _first(label, _PATHS)
    if found is None:
        return None
    return re.sub(
        r"^(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH)[ _]", "", found, flags=re.IGNORECASE
    )


def _reached(
    kept: NDArray[np.intp],
    labels: Sequence[Labels],
    samples: NDArray[np.int64],
    amount: Callable[[int], float],
    web: PathFilter,
    findings: Findings,
    tables: Tables,
) -> NDArray[np.intp]:
    """Leave out requests to other paths, that are no POST, and that were refused."""
    before = kept
    paths = {int(at): _path(labels[at]) for at in kept}
    names = [bare(path) if path else "(none)" for path in paths.values()]
    # The rule of an ingress ("/") is no path of a request, unless one asks for text by its name.
    are_rules = any("nginx_ingress" in (labels[at].get("__name__") or "") for at in paths)
    if any(path and path.startswith("/") for path in paths.values()) and (
        not are_rules or any(map(web.counts_in, names))
    ):
        passes = web.passes_names(names, [round(amount(at)) for at in paths])
        web.check(int(tables.setting("trace_shown_paths")))
        _drop(kept[~passes], samples, f"samples of {OTHER_PATHS}", findings)
        kept = kept[passes]
    for keys, is_bad, reason in (
        (_METHODS, lambda value: value.upper() in _VERBS, "samples of requests that are no POST"),
        (
            _STATUSES,
            lambda value: _REFUSED.fullmatch(value) is not None,
            "samples of requests redirected or refused with a 4xx status",
        ),
    ):
        told = (_first(labels[at], keys) or "" for at in kept)
        bad = np.fromiter(map(is_bad, told), dtype=np.bool_, count=kept.size)
        _drop(kept[bad], samples, reason, findings)
        kept = kept[~bad]
    if not kept.size and before.size:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in findings.dropped.items())
        raise InputError(f"No series counts requests to the model: {reasons}.")
    return kept


def _model(
    kept: NDArray[np.intp],
    labels: Sequence[Labels],
    samples: NDArray[np.int64],
    told: str | None,
    findings: Findings,
    tables: Tables,
) -> tuple[str, str] | None:
    """Return the label and the value by which the user chose; None if all are one deployment."""
    axes = {
        key: values
        for key in _MODELS
        if len(values := list(dict.fromkeys(labels[at].get(key, "") for at in kept))) > 1
    }
    if not axes:
        return None
    key, values = next(iter(axes.items()))
    what = "models" if "model" in key or key == "series" else f"values of '{key}'"
    if told == ALL:
        findings.assumed.append(f"{len(values)} {what} are taken together as one deployment.")
        return None
    if told is not None:
        found = next((axis for axis, held in axes.items() if told in held), None)
        if found is None:
            raise InputError(
                f"There is no model '{told}' in the file; there are {listed(tuple(values))}."
            )
        return found, told
    number = Counter[str]()
    for at in kept:
        number[labels[at].get(key, "")] += int(samples[at])
    raise TraceQuestion(
        f"{len(values)} {what} in the file; each needs its own deployment. Which one?",
        "model",
        (
            *(
                (value, f"{value or 'none'}: {spell.count(number[value], 'sample')}")
                for value in values[: int(tables.setting("trace_most_models"))]
            ),
            (ALL, "All of them, as if they were one deployment"),
        ),
    )


def _say_added(kept: NDArray[np.intp], labels: Sequence[Labels], findings: Findings) -> None:
    if kept.size < 2:
        return
    keys = dict.fromkeys(
        key for at in kept for key in labels[at] if not key.startswith("__") or key == "__name__"
    )
    differing = [key for key in keys if len({labels[at].get(key) for at in kept}) > 1]
    if differing:
        findings.notes.append(f"{kept.size:,} series that differ in {listed(differing)} added up.")

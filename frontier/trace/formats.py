"""What a format is, the published traces, Frontier's own tables, and columns chosen by hand.

A format is a function that looks at the columns of a file and returns the `Layout` that says which
column is what, or None if the file is not of its format; `known_formats` lists them all.
Names are compared without case, spaces, hyphens and underscores, and never by position. Which
formats exist, their columns and units: documentation of each origin, named in its docstring.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frontier.errors import InputError
from frontier.trace.raw_table import Table

if TYPE_CHECKING:
    import pyarrow as pa

Test = Callable[["pa.Array"], "pa.Array"]


@dataclass(frozen=True, slots=True)
class Keep:
    """Rows to keep: those whose text in ``column`` passes; the others count as ``dropped``."""

    column: str
    passes: Test
    dropped: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column is what, and how times are meant.

    Attributes
    ----------
    format : str
        Name shown to the user.
    time : str
        Column of times.
    clock : str
        Unit of numbers in it: "s", "ms", "us", "ns"; "find" if the format leaves it open.
        Dates are recognised by themselves.
    prompt, output, duration, model, session, request_id : str or None
        Columns, where there are any.
    usage : tuple of str
        Columns of token counts by kind, or the one that holds them as JSON text: what is read in
        place of the token columns and of ``cached`` (`columns.usage`).
    time_is_end : bool
        Times say when the response ended: arrival is that less the duration, if there is one.
    duration_s : float
        Seconds in a unit of the duration.
    session_clock : bool
        Times start anew in every session.
    session_epoch_ms : bool
        Session names begin with milliseconds since 1970, which date the requests.
    usual_unit : str or None
        Unit that whole numbers are taken to have if their steps look like it.
    cached : str or None
        Column of the tokens of a prompt that a cache had.
    blocks : str or None
        Column of the blocks of a prompt.
    path : str or None
        Column of the paths that requests went to; those to a path that generates text count.
    keep : tuple of Keep
        Which rows are requests that reached the model.
    notes : tuple of str
        What to know about the format.
    """

    format: str
    time: str
    clock: str = "find"
    prompt: str | None = None
    output: str | None = None
    duration: str | None = None
    model: str | None = None
    session: str | None = None
    request_id: str | None = None
    usage: tuple[str, ...] = ()
    time_is_end: bool = False
    duration_s: float = 1.0
    session_clock: bool = False
    session_epoch_ms: bool = False
    usual_unit: str | None = None
    cached: str | None = None
    blocks: str | None = None
    path: str | None = None
    keep: tuple[Keep, ...] = ()
    notes: tuple[str, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Return the columns to read, each once."""
        named = (
            self.time,
            self.prompt,
            self.output,
            self.duration,
            self.model,
            self.session,
            self.request_id,
            self.cached,
            self.blocks,
            self.path,
            *self.usage,
            *(item.column for item in self.keep),
        )
        return tuple(dict.fromkeys(name for name in named if name is not None))


class Names:
    """The columns of a file, found by their names without case, spaces and underscores."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._names = {fold(name): name for name in reversed(table.names)}

    def has(self, *names: str) -> bool:
        """Return whether every one of these columns is there."""
        return all(fold(name) in self._names for name in names)

    def first(self, *names: str) -> str | None:
        """Return the first of these columns that is there, by the name the file gives it."""
        return next((self._names[fold(name)] for name in names if fold(name) in self._names), None)

    def __getitem__(self, name: str) -> str:
        return self._names[fold(name)]

    def only_leaf(self, *leaves: str) -> str | None:
        """Return the one nested column whose last name is one of these; None if several are."""
        folded = {fold(name) for name in leaves}
        found = [
            name
            for name in self.table.names
            if "." in name and fold(name.removesuffix(".value").rsplit(".", 1)[-1]) in folded
        ]
        return found[0] if len(found) == 1 else None

    def between(self, prefix: str, suffix: str) -> str | None:
        """Return the first column whose name starts and ends like this."""
        for folded, name in self._names.items():
            if folded.startswith(fold(prefix)) and folded.endswith(fold(suffix)):
                return name
        return None

    def under(self, prefix: str) -> tuple[str, ...]:
        """Return the nested columns of an object of that name."""
        within = fold(prefix) + "."
        return tuple(name for folded, name in self._names.items() if folded.startswith(within))

    def starting(self, prefix: str) -> bool:
        """Return whether any column's name starts like this."""
        return any(name.startswith(fold(prefix)) for name in self._names)


_IGNORED = re.compile(r"[\s_\-]+")
_SHORT = 64
_MOST_PARTS = 32


def fold(name: str) -> str:
    """Return a name without case, spaces, hyphens and underscores."""
    return _fold_once(name) if len(name) <= _SHORT else _IGNORED.sub("", name.casefold())


# The names that formats look for are asked for in every file, thousands of them.
@functools.lru_cache(maxsize=4096)
def _fold_once(name: str) -> str:
    return _IGNORED.sub("", name.casefold())


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names under which each role goes when no format is recognised: a suggestion, never a reading.
SYNONYMS = {
    "time": _words(
        """date_and_time
        timestamp time ts arrival arrival_time arrived_at arrival_timestamp arrival_s created
        created_at createdat date datetime date_time start start_time request_start_time
        requested_at request_created_at started_at startedDateTime requestTimeEpoch event_time
        @timestamp zeitstempel zeitpunkt zeit datum
        horodatage horodate date_heure fecha fecha_hora marca_de_tiempo data_ora data_hora tijdstip
        tidpunkt 时间 时间戳 日時 タイムスタンプ"""
    ),
    "prompt_tokens": _words(
        """prompt_tokens input_tokens context_tokens request_tokens prompt input_length isl
        prompt_length num_prefill_tokens prompt_size prompt_token_count tokens_in tokens_prompt
        input_token_count input_sequence_length req_units eingabe_tokens anfrage_tokens in input
        prompt_eval_count promptTokenCount tokens_entrada tokens_de_entrada jetons_entrée
        jetons_entree 输入tokens 入力トークン"""
    ),
    "output_tokens": _words(
        """output_tokens completion_tokens generated_tokens response_tokens generated output_length
        osl output_len num_decode_tokens token_size completion_token_count tokens_out
        tokens_completion output_token_count output_sequence_length res_units ausgabe_tokens
        antwort_tokens out output eval_count candidatesTokenCount tokens_salida tokens_de_salida
        jetons_sortie
        输出tokens 出力トークン"""
    ),
    "model": _words("model model_name deployment engine"),
    "session_id": _words("session_id session conversation_id chat_id thread_id"),
}
PRIVATE = _words(
    """messages response prompt completion input output input_text output_text text_input content
    api_key user end_user user_id requester_ip_address ip remote_addr email metadata payload
    proxy_server_request request_tags user_agent gen_ai.input.messages gen_ai.output.messages
    gen_ai.system_instructions inputs outputs request_body response_body
    inputBodyJson outputBodyJson prompts prompt_template generated_text"""
)


# --- Logs of requests ---------------------------------------------------------------------------


def azure_llm(names: Names) -> Layout | None:
    """Azure LLM 2023 and 2024, and LMM 2025 (Azure/AzurePublicDataset): dates of invocation."""
    if not names.has("TIMESTAMP", "ContextTokens", "GeneratedTokens"):
        return None
    images = names.has("NumImages")
    return Layout(
        "Azure LMM" if images else "Azure LLM",
        names["TIMESTAMP"],
        prompt=names["ContextTokens"],
        output=names["GeneratedTokens"],
        notes=("Some requests carry images; only the tokens in the file are counted.",)
        if images
        else (),
    )


def burstgpt(names: Names) -> Layout | None:
    """BurstGPT 1, 2 and 3 (HPMLL/BurstGPT): seconds from midnight of the first day."""
    if not names.has("Timestamp", "Request tokens", "Response tokens"):
        return None
    return Layout(
        "BurstGPT",
        names["Timestamp"],
        clock="s",
        prompt=names["Request tokens"],
        output=names["Response tokens"],
        model=names.first("Model"),
        session=names.first("Session ID"),
    )


def bailian(names: Names) -> Layout | None:
    """Qwen-Bailian (alibaba-edu/qwen-bailian-usagetraces-anon): seconds; turns form chats."""
    if not names.has("chat_id", "turn", "timestamp", "input_length", "output_length"):
        return None
    return Layout(
        "Bailian",
        names["timestamp"],
        clock="s",
        prompt=names["input_length"],
        output=names["output_length"],
    )


def ragpulse(names: Names) -> Layout | None:
    """RAGPulse (flashserve/RAGPulse): whole seconds as text, hash_ids an object."""
    if not names.has("timestamp", "input_length", "output_length", "session_id"):
        return None
    if "hash_ids" not in names.table.objects and not names.starting("hash_ids."):
        return None
    return Layout(
        "RAGPulse",
        names["timestamp"],
        clock="s",
        prompt=names["input_length"],
        output=names["output_length"],
        session=names["session_id"],
        session_epoch_ms=True,
    )


def mooncake(names: Names) -> Layout | None:
    """Mooncake, AIPerf and GuideLLM: the same names for milliseconds, and for seconds."""
    if not names.has("timestamp", "input_length", "output_length"):
        return None
    return Layout(
        "Mooncake, AIPerf or GuideLLM",
        names["timestamp"],
        # Blocks of a prefix cache are Mooncake's and AIPerf's; GuideLLM, in seconds, has none.
        usual_unit="ms" if {"hash_ids"} & (names.table.lists | set(names.table.names)) else None,
        prompt=names["input_length"],
        output=names["output_length"],
        session=names.first("session_id"),
    )


def agent_sessions(names: Names) -> Layout | None:
    """WEKA kv-cache-tester and flattened agent sessions: seconds from 0 in every session."""
    if names.has("session_id", "t", "in", "out"):
        time, prompt, output = "t", "in", "out"
    elif names.has("session_id", "t_s", "input_tokens", "output_tokens"):
        time, prompt, output = "t_s", "input_tokens", "output_tokens"
    else:
        return None
    return Layout(
        "agent sessions",
        names[time],
        clock="s",
        prompt=names[prompt],
        output=names[output],
        model=names.first("model"),
        session=names["session_id"],
        session_clock=True,
    )


def vidur(names: Names) -> Layout | None:
    """Vidur and Sarathi (microsoft/vidur): seconds from the start."""
    if not names.has("arrived_at", "num_prefill_tokens", "num_decode_tokens"):
        return None
    return Layout(
        "Vidur",
        names["arrived_at"],
        clock="s",
        prompt=names["num_prefill_tokens"],
        output=names["num_decode_tokens"],
    )


def splitwise(names: Names) -> Layout | None:
    """SplitwiseSim (Mutinifni/splitwise-sim): seconds from the start."""
    if not names.has("arrival_timestamp", "prompt_size", "token_size"):
        return None
    return Layout(
        "SplitwiseSim",
        names["arrival_timestamp"],
        clock="s",
        prompt=names["prompt_size"],
        output=names["token_size"],
        request_id=names.first("request_id"),
    )


def baseten(names: Names) -> Layout | None:
    """Baseten production traces (AIPerf's baseten_trace loader): milliseconds since 1970."""
    if not names.has("timestamp_start_unix_ms", "input_tokens", "output_tokens"):
        return None
    return Layout(
        "Baseten",
        names["timestamp_start_unix_ms"],
        clock="ms",
        prompt=names["input_tokens"],
        output=names["output_tokens"],
        session=names.first("provided_session_id", "poor_man_session_id"),
    )


def azure_functions_2021(names: Names) -> Layout | None:
    """Azure Functions 2021 (Azure/AzurePublicDataset): seconds at the end, less the duration."""
    if not names.has("end_timestamp", "duration", "func"):
        return None
    return Layout(
        "Azure Functions 2021",
        names["end_timestamp"],
        clock="s",
        duration=names["duration"],
        time_is_end=True,
        model=names.first("func", "app"),
    )


def own(names: Names) -> Layout | None:
    """Frontier's own columns: timestamp, prompt_tokens, output_tokens, as in CSV or Parquet."""
    time = names.first("timestamp", "arrival_s", "timestamp_s", "timestamp_ms", "date_and_time")
    prompt = names.first("prompt_tokens", "input_tokens")
    output = names.first("output_tokens", "completion_tokens")
    if not (time and prompt and output):
        return None
    clock = {"arrivals": "s", "timestamps": "s", "timestampms": "ms"}.get(fold(time), "find")
    return Layout(
        "request table",
        time,
        clock=clock,
        # Frontier's own column is in seconds; another tool's of the same name may not be.
        usual_unit="s" if names.has("timestamp", "prompt_tokens", "output_tokens") else None,
        prompt=prompt,
        output=output,
        model=names.first("model"),
        session=names.first("session_id"),
        request_id=names.first("request_id"),
    )


def by_hand(table: Table, columns: dict[str, str]) -> Layout:
    """Return the layout that the user chose, by role.

    Raises
    ------
    InputError
        If a role or a column does not exist, or none was chosen for the time.
    """
    for role, column in columns.items():
        if role not in SYNONYMS:
            raise InputError(f"There is no role '{role}'; there are {', '.join(SYNONYMS)}.")
        if column not in table.names:
            raise InputError(f"There is no column '{column}'. Found: {listed(table.names)}.")
    if "time" not in columns:
        raise InputError("One column must be the time of arrival.")
    return Layout(
        "columns chosen by hand",
        columns["time"],
        prompt=columns.get("prompt_tokens"),
        output=columns.get("output_tokens"),
        model=columns.get("model"),
        session=columns.get("session_id"),
    )


def suggested(table: Table) -> dict[str, str]:
    """Return the column that each role probably is, by telling names or by cells that are dates.

    What is but a duration is never suggested as the time of arrival, whatever its name.
    """
    names = Names(table)
    found = {
        role: names.first(*synonyms) or names.only_leaf(*synonyms)
        for role, synonyms in SYNONYMS.items()
    }
    named = [names[name] for name in SYNONYMS["time"] if names.has(name)]
    named = list(dict.fromkeys([*named, *([found["time"]] if found["time"] else [])]))
    taken = {column for role, column in found.items() if role != "time"}
    others = (name for name in table.names if name not in taken and not _ENDS.search(name))
    found["time"] = next(
        itertools.chain(
            (name for name in named if _are_dates(table, name)),
            (name for name in named if not _are_durations(table, name)),
            (name for name in others if _are_dates(table, name)),
        ),
        None,
    )
    return {role: column for role, column in found.items() if column is not None}


_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}[ T,]+\d{1,2}:\d\d")
_EPOCH = re.compile(r"1[0-9]{9}(?:[0-9]{3}){0,3}(?:\.[0-9]+)?")  # 2001 to 2033
_LARGEST_DURATION = 1e6
# A date that is not the arrival, by its name.
_ENDS = re.compile(r"end|finish|complet|expir|updat|respon", re.IGNORECASE)


def cells_of(table: Table, column: str) -> list[str]:
    """Return the texts of a column's first cells that are not empty, of CSV and JSON only."""
    at = table.names.index(column)
    held: list[object] = [row[at] for row in table.sample]
    held += [row.get(column) for row in table.records]
    texts = ("" if cell is None else str(cell).strip() for cell in held)
    return [text for text in texts if text]


def _are_dates(table: Table, column: str) -> bool:
    cells = cells_of(table, column)
    dated = sum(bool(_DATE.match(cell) or _EPOCH.fullmatch(cell)) for cell in cells)
    return bool(cells) and dated > 0.9 * len(cells)


def _are_durations(table: Table, column: str) -> bool:
    """Return whether a column holds small numbers that fall as often as they rise, or are one."""
    try:
        numbers = [float(cell) for cell in cells_of(table, column)]
    except ValueError:
        return False
    falls = sum(later < before for before, later in itertools.pairwise(numbers))
    return (
        len(numbers) > 3
        and max(numbers) < _LARGEST_DURATION
        and (falls > 0.2 * len(numbers) or max(numbers) == min(numbers))
    )


def private_columns(table: Table, layout: Layout) -> tuple[str, ...]:
    """Return the columns that hold what people wrote or who they are; none of them is read."""
    telling = {fold(name) for name in PRIVATE}
    read = set(layout.columns())
    found: dict[str, None] = {}
    for name in table.names:
        # A hostile name has thousands of points, and each would be folded with all before it.
        parts, folded = name.split(".", _MOST_PARTS), fold(name)
        starts = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        for part, start in zip(parts, starts, strict=True):
            # An object of which something is read is not left out as a whole.
            is_read = name in read or any(column.startswith(f"{start}.") for column in read)
            if not is_read and {fold(part), folded} & telling:
                found[name if folded in telling else start] = None
                break
    return tuple(found)


def listed(names: Sequence[str], most: int = 12) -> str:
    """Return names in a row, with how many were left out."""
    shown = ", ".join(name[:40] for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def among(cells: pa.Array, *values: str) -> pa.Array:
    """Return which cells are one of some words, whatever their case."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(pc.utf8_lower(cells), value_set=pa.array(values))


def matches(cells: pa.Array, pattern: str) -> pa.Array:
    """Return which cells match a pattern, whatever their case; an empty cell is empty text."""
    import pyarrow.compute as pc

    return pc.match_substring_regex(pc.fill_null(cells, ""), pattern, ignore_case=True)


def negated(mask: pa.Array) -> pa.Array:
    """Return the contrary of a mask."""
    import pyarrow.compute as pc

    return pc.invert(mask)

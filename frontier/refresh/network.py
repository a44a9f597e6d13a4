"""Published catalogues, fetched when somebody asks for them by name: the only door to the network.

The addresses stand in data/catalogues.csv. Nothing on the pages comes here, and tests hand in a
recorded answer in place of `fetch`.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable

from frontier.errors import InputError
from frontier.refresh.read import Brought, unpacked
from frontier.tables import Catalogue, Tables, look_up


def fetch(url: str, tables: Tables) -> bytes:
    """Return what an address answers.

    Raises
    ------
    InputError
        If it does not answer in time, or with more than a renewal may read.
    """
    most_bytes = int(tables.setting("refresh_max_bytes"))
    if not url.startswith("https://"):
        raise InputError(f"Expected an address that begins with https://, found '{url}'")
    request = urllib.request.Request(url, headers={"User-Agent": "frontier-refresh"})
    try:
        with urllib.request.urlopen(request, timeout=tables.setting("refresh_timeout_s")) as answer:
            content: bytes = answer.read(most_bytes + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise InputError(f"{url} did not answer ({error})") from None
    if len(content) > most_bytes:
        raise InputError(f"{url} answered with more than {most_bytes / 1e6:g} MB")
    return content


def inputs_from_network(
    asked: str, tables: Tables, fetched: Callable[[str, Tables], bytes] = fetch
) -> list[Brought]:
    """Return the tables of a published catalogue.

    Parameters
    ----------
    asked : str
        A row of data/catalogues.csv, or "gpuhunt" or "skypilot" for all of that format.

    Raises
    ------
    InputError
        If nothing is known by that name, or it does not answer.
    """
    all_of = [row for row in tables.catalogues.values() if row.format == asked]
    rows = all_of or [look_up(tables.catalogues, asked, "catalogue")]
    return [item for row in rows for item in _of_catalogue(row, tables, fetched)]


def _of_catalogue(
    row: Catalogue, tables: Tables, fetched: Callable[[str, Tables], bytes]
) -> list[Brought]:
    url = row.url
    if row.version_url is not None:
        version = fetched(row.version_url, tables).decode("utf-8", "replace").strip()
        if (
            len(version) > tables.setting("upload_longest_name")
            or not version.replace("-", "").isalnum()
        ):
            raise InputError(f"{row.version_url} answered with something that is no version")
        url = url.replace("{version}", version)
    content = fetched(url, tables)
    if url.endswith(".zip"):
        return list(unpacked(row.catalogue_id, content, tables, row.provider, url))
    return [Brought(f"{row.catalogue_id}/{url.rpartition('/')[2]}", content, row.provider, url)]

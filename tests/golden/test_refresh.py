"""Renewing prices: small catalogues in the shapes that are published, and what comes of them.

The catalogues in tests/golden/refresh are written by hand; the prices in them are invented.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from frontier import cli, refresh
from frontier.errors import InputError, TableError
from frontier.prices.age import newest_release
from frontier.tables import DATA_DIR, load_tables

HERE = Path(__file__).parent / "refresh"
TODAY = dt.date(2026, 11, 26)
TABLES = load_tables()


def proposed(*names, tables=TABLES, as_of=TODAY, **how):
    brought = [item for name in names for item in refresh.inputs_from(HERE / name, tables)]
    reading = refresh.read(brought, tables, as_of=as_of, **how)
    return refresh.propose(reading, tables, as_of=as_of, today=TODAY)


def item_of(proposal, offer_id):
    return next(item for item in proposal.items if item.offer_id == offer_id)


def reason_of(proposal, row, name="own.csv"):
    """Return why a row changes nothing."""
    found = [item.reason for item in proposal.items if item.where == f"{name}, row {row}"]
    found += [part.reason for part in proposal.left_out if part.file == name and row in part.rows]
    assert len(found) == 1, (row, found)
    return found[0]


@pytest.fixture
def data(tmp_path):
    return Path(shutil.copytree(DATA_DIR, tmp_path / "data"))


# --- what is read and matched -------------------------------------------------------------------


def test_a_gpuhunt_catalogue_tells_secure_from_community_by_its_places():
    """A data centre is the secure cloud, a country the community; the sizes share one price."""
    proposal = proposed("gpuhunt_runpod.csv")
    secure, community = (
        item_of(proposal, f"runpod-{sort}-h100") for sort in ("secure", "community")
    )
    assert (secure.old_usd, secure.new_usd) == (3.99, 3.89)
    assert secure.move == pytest.approx(3.89 / 3.99 - 1)
    assert secure.where == "gpuhunt_runpod.csv rows 2, 3"
    assert (secure.old_date, secure.new_date) == (dt.date(2026, 11, 9), TODAY)
    assert (community.old_usd, community.new_usd) == (2.69, 2.49)
    assert not secure.asks
    assert item_of(proposal, "runpod-secure-l40s").what == "confirmed"


def test_rows_that_are_no_price_of_a_machine_are_left_out_and_said():
    """A cluster, a GPU that is not known, a machine without one."""
    proposal = proposed("gpuhunt_runpod.csv")
    said = {part.reason: part.rows for part in proposal.left_out}
    assert said["Left out, sold as a cluster of several machines"] == (5,)
    assert said["Left out, no GPU"] == (12,)
    assert any("V100" in reason for reason in said)


def test_of_several_versions_of_a_catalogue_the_newest_is_read():
    """V7 says 1.50 for the same machine; other tables of the folder are no price lists."""
    proposal = proposed("skypilot")
    assert all(name.startswith("v8/") for name in proposal.files)
    assert item_of(proposal, "aws-l40s").new_usd == 1.861
    assert [p.reason for p in proposal.left_out if "accelerators" in p.file] == [
        "Not a price table"
    ]


def test_an_instance_is_matched_by_its_name_and_region():
    """Not a larger machine with the same GPU, and not the same machine on another continent."""
    proposal = proposed("skypilot")
    assert item_of(proposal, "aws-l40s").what == "confirmed"
    new = [item for item in proposal.of("new") if item.product == "g6e.2xlarge"]
    assert [(item.new_usd, item.region) for item in new] == [(2.24208, "us-east-1")]
    assert "Another region" in reason_of(proposal, 5, "v8/aws/vms.csv")


def test_a_machine_of_eight_is_divided_once():
    """60 dollars an hour are 7.50 for each of eight GPUs; 21.96 is 2.744705 rounded."""
    proposal = proposed("skypilot")
    assert item_of(proposal, "aws-h100-8x").new_usd == 7.5
    assert item_of(proposal, "aws-a100-40gb-8x").what == "confirmed"
    assert item_of(proposal, "aws-a100-40gb-8x").new_usd == 2.744705


def test_google_machines_are_priced_with_their_gpus():
    """The host costs 0.739 and the GPU 3.0."""
    assert item_of(proposed("skypilot"), "gcp-a100-40gb").new_usd == pytest.approx(3.739)


def test_the_form_of_a_gpu_is_what_the_catalogue_says_and_never_guessed_between_offers():
    """A100-80GB at RunPod is PCIe by its GpuInfo; an H100 without one may be any of three."""
    proposal = proposed("skypilot")
    assert item_of(proposal, "runpod-secure-a100-pcie").new_usd == 1.69
    assert all(item.offer_id != "runpod-secure-a100" for item in proposal.of("changed"))
    assert "which one is not said" in reason_of(proposal, 4, "v8/runpod/vms.csv")


def test_a_list_of_secure_machines_says_nothing_of_community_ones():
    """SkyPilot's list of RunPod has no community hosts: none of them is gone."""
    gone = {item.offer_id for item in proposed("skypilot").of("gone")}
    assert "runpod-secure-a40" in gone
    assert not [key for key in gone if "community" in key or "flex" in key]
    assert not [key for key in gone if "reserved" in key or key.startswith(("modal", "sagemaker"))]


def test_a_gpu_that_is_attached_by_choice_is_not_gone():
    """SkyPilot lists Google's T4 without a machine: nothing is said of an N1 machine with one."""
    path = HERE / "skypilot" / "v8" / "gcp" / "vms.csv"
    text = path.read_text(encoding="utf-8")
    for more, gone in (("", True), (",T4,1,,,us-central1,0.14,0.35,us-central1-a,\n", False)):
        brought = [refresh.Brought("gcp/vms.csv", (text + more).encode())]
        reading = refresh.read(brought, TABLES, as_of=TODAY)
        proposal = refresh.propose(reading, TABLES, as_of=TODAY, today=TODAY)
        assert ("gcp-t4" in {item.offer_id for item in proposal.of("gone")}) == gone


def test_tables_of_ones_own_make_nothing_gone_unless_they_are_said_to_be_whole():
    """A price list that somebody typed is a part; a refused row keeps it one."""
    assert not proposed("own.csv").of("gone")
    assert not proposed("own.csv", complete=True).of("gone")


# --- what is asked before it changes anything ---------------------------------------------------


@pytest.mark.parametrize(
    ("offer_id", "words"),
    [
        ("modal-b200", "by the second"),
        ("modal-a10", "by the minute"),
        ("modal-h200", "cents against dollars"),
        ("modal-l4", "by the month"),
        ("coreweave-h100-8x", "a machine of 8 GPUs"),
    ],
)
def test_a_move_of_the_size_of_a_mistaken_unit_is_called_by_its_name(offer_id, words):
    """Second, minute, month, cents and whole machines are told from the factor they leave."""
    item = item_of(proposed("own.csv"), offer_id)
    assert any("mistake of the unit" in ask and words in ask for ask in item.asks), item.asks
    assert any(ask.startswith("Moves by") for ask in item.asks)


def test_a_machine_of_two_at_the_price_of_one_is_named():
    """RunPod sells one to eight: the row is of two, at half the price of a GPU."""
    text = "provider,gpu,price,unit,kind,product,gpu_count\n"
    text += "RunPod,L40S,1.09,usd_per_instance_hour,on-demand,Secure Cloud pod,2\n"
    asks = item_of(of_table(text), "runpod-secure-l40s").asks
    assert any("a machine of 2 GPUs against one of them" in ask for ask in asks), asks


def test_a_decimal_place_is_named_as_well():
    """0.079 instead of 0.79."""
    asks = item_of(proposed("gpuhunt_runpod.csv"), "runpod-community-l40s").asks
    assert asks == (
        "Moves by -90%",
        "Probably a mistake of the unit: a decimal place (a factor of 10)",
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (8, "usd_per_gpu_hour"),
        (9, "expected USD"),
        (11, "as low as"),
        (12, "from"),
        (13, "Trial"),
        (14, "EUR"),
        (15, "future"),
        (20, "RTX 4080"),
        (21, "Acme"),
        (22, "secure or community"),
        (23, "which one is not said"),
        (24, "region is missing"),
        (25, "Fits several offers (cloud-run-l4, cloud-run-l4-zonal)"),
    ],
)
def test_a_row_that_cannot_be_used_is_reported_and_the_others_stay(row, words):
    """Units, currencies, floors, names, dates and what is missing, each by its own row."""
    assert words in reason_of(proposed("own.csv"), row)


def test_what_a_row_leaves_open_is_taken_where_only_one_offer_fits():
    """Hyperstack sells the L40 by the hour and in no other way."""
    assert item_of(proposed("own.csv"), "hyperstack-l40").new_usd == 1.05


def test_two_prices_of_one_offer_are_shown_and_the_choice_is_the_readers():
    """Neither is taken, not even by accepting everything; the one named is."""
    proposal = proposed("own.csv")
    item = item_of(proposal, "cerebrium-l4")
    assert item.prices == (0.81, 0.85)
    assert item.new_usd is None
    assert item.asks == ("Rows disagree: 0.81 (own.csv row 17), 0.85 (own.csv row 18)",)
    taken, waiting = refresh.Accepted.of(["all"]).taken(proposal)
    assert "cerebrium-l4" not in {found.offer_id for found in taken}
    assert ("cerebrium-l4", "name the price to take") in {(i.offer_id, w) for i, w in waiting}
    taken, _ = refresh.Accepted.of(["cerebrium-l4=0.85"]).taken(proposal)
    assert next(i for i in taken if i.offer_id == "cerebrium-l4").new_usd == 0.85
    with pytest.raises(InputError, match=r"expected a price that was read \(0\.81 or 0\.85\)"):
        refresh.Accepted.of(["cerebrium-l4=0.5"]).taken(proposal)


def test_an_older_price_is_said_to_be_one():
    """A list of January does not replace a price of August unasked."""
    item = item_of(proposed("own.csv"), "koyeb-a100")
    assert item.asks == ("Older (2026-01-01) than the price here (2026-08-17)",)


def test_what_waits_and_what_does_not():
    """Small moves and confirmed prices need no accepting; moves, new and gone ones do."""
    proposal = proposed("skypilot", "gpuhunt_runpod.csv", "own.csv")
    taken, waiting = refresh.Accepted().taken(proposal)
    assert {"aws-h100-8x", "modal-l40s", "runpod-secure-h100"} <= {i.offer_id for i in taken}
    assert all(item.what in ("changed", "confirmed") for item in taken)
    assert all(abs(item.move) <= 0.25 for item in taken)
    assert {item.what for item, _ in waiting} == {"changed", "new", "gone"}
    assert ("replicate-l40s", "a link to its source is missing (--source)") in {
        (item.offer_id, why) for item, why in waiting
    }


def test_nobody_accepts_what_was_not_proposed():
    """A slip in the name is an error, not nothing."""
    with pytest.raises(InputError, match="holds no offer 'aws-l4s'"):
        refresh.Accepted.of(["aws-l4s"]).taken(proposed("skypilot"))


def test_no_price_is_of_the_future():
    """--as-of tomorrow is refused."""
    with pytest.raises(InputError, match="up to today"):
        proposed("skypilot", as_of=TODAY + dt.timedelta(days=1))


def test_a_new_offer_takes_its_rules_from_the_providers_others():
    """Of sizes sold alike one offer is made; it is like its siblings and not featured."""
    item = item_of(proposed("gpuhunt_runpod.csv"), "runpod-secure-mi300x")
    offer = item.offer
    assert (offer.rules_id, offer.product, offer.region) == (
        "runpod-pod",
        "Secure Cloud pod",
        "any",
    )
    assert (offer.gpus_min, offer.gpus_max, offer.usd_per_gpu_h) == (1, 2, 2.49)
    assert not offer.featured
    spot = item_of(proposed("skypilot"), "verda-b200-8x-spot").offer
    assert (spot.rules_id, spot.kind, spot.usd_per_gpu_h) == ("verda", "spot", 1.71125)


def of_table(text, tables=TABLES, **how):
    reading = refresh.read([refresh.Brought("list.csv", text.encode())], tables, as_of=TODAY, **how)
    return refresh.propose(reading, tables, as_of=TODAY, today=TODAY)


def test_another_currency_needs_a_rate():
    """1.10 euros at 1.2 dollars are 1.32 dollars."""
    text = "provider,gpu,price,unit,kind\nKoyeb,L40S,1.10,eur_per_gpu_hour,serverless\n"
    item = item_of(of_table(text, usd_per={"EUR": 1.2}), "koyeb-l40s")
    assert item.new_usd == pytest.approx(1.32)
    assert not of_table(text).items


def test_two_lists_that_disagree_are_shown_side_by_side():
    """Neither catalogue outranks the other."""
    rows = "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot\n"
    rows += "g6e.xlarge,us-east-1,{},1,L40S,48,False\n"
    brought = [
        refresh.Brought(f"{folder}/aws.csv", rows.format(price).encode())
        for folder, price in (("one", 1.9), ("two", 2.0))
    ]
    reading = refresh.read(brought, TABLES, as_of=TODAY)
    item = item_of(refresh.propose(reading, TABLES, as_of=TODAY, today=TODAY), "aws-l40s")
    assert item.asks == ("Rows disagree: 1.9 (one/aws.csv row 2), 2 (two/aws.csv row 2)",)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("CoreWeave,H100,6.2,usd_per_gpu_hour,on-demand,8-GPU node,", "coreweave-h100-8x"),
        ("CoreWeave,H100,6.2,usd_per_gpu_hour,on-demand,,8", "coreweave-h100-8x"),
        ("CoreWeave,H100,49.6,usd_per_instance_hour,on-demand,,8", "coreweave-h100-8x"),
        ("CoreWeave,H100,6.2,usd_per_gpu_hour,on-demand,,", "machines of 8 GPUs"),
        ("AWS,L40S,1.9,usd_per_gpu_hour,on-demand,g6e.xlarge,", "aws-l40s"),
        ("Modal,L40S,1.9,usd_per_gpu_hour,,,", "modal-l40s"),
        ("Azure,H100,6.9,usd_per_gpu_hour,on-demand,Standard_NC40ads_H100_v5,", "azure-h100-nvl"),
    ],
)
def test_the_size_of_a_machine_is_never_guessed(row, found):
    """A price of a GPU is one of a machine of eight only where the row says so."""
    text = f"provider,gpu,price,unit,kind,product,gpu_count\n{row}\n"
    told = {item.offer_id or item.reason for item in of_table(text).items}
    assert any(found == words or found in words for words in told), told


def test_an_offer_that_is_named_must_be_of_that_gpu():
    """offer_id says which offer is meant, and a slip in it is told."""
    text = "offer_id,provider,gpu,price,unit,kind\n{},Modal,L40S,1.9,usd_per_gpu_hour,serverless\n"
    assert item_of(of_table(text.format("modal-l40s")), "modal-l40s").new_usd == 1.9
    [item] = of_table(text.format("modal-h100")).items
    assert item.reason == "modal-h100 is a GPU H100-SXM-80GB, the row says L40S"


def test_a_market_is_not_renewed_by_one_of_its_hosts():
    """The price of Vast here is a median."""
    text = "provider,gpu,price,unit,kind\nVast.ai,H100 SXM,1.9,usd_per_gpu_hour,on-demand\n"
    [item] = of_table(text).items
    assert "median of a market" in item.reason


# --- what is written ----------------------------------------------------------------------------


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def test_only_the_cells_that_change_are_written(data):
    """Price, date and source of the accepted rows; every other byte of the table stays."""
    proposal = proposed("gpuhunt_runpod.csv")
    taken, _ = refresh.Accepted().taken(proposal)
    refresh.apply(taken, TABLES, today=TODAY, data_dir=data)
    before, after = lines_of(DATA_DIR / "offers.csv"), lines_of(data / "offers.csv")
    assert len(before) == len(after)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(changed) == len(taken) == 3
    header = before[0].decode().strip().split(",")
    for old, new in changed:
        [was], [now] = (list(csv.reader([line.decode()])) for line in (old, new))
        differing = {header[n] for n in range(len(header)) if was[n] != now[n]}
        assert differing <= {"usd_per_gpu_h", "priced_on", "source_id"}
        assert was[header.index("note")] == now[header.index("note")]
    assert (
        b"runpod-secure-h100,RunPod,Secure Cloud pod,dedicated,H100-SXM-80GB,1,8,3.89,"
        in b"".join(after)
    )


def test_the_source_is_cited_and_the_tables_stay_sound(data):
    """A row for the catalogue and the day; the release moves to the day of reading."""
    taken, _ = refresh.Accepted().taken(proposed("gpuhunt_runpod.csv"))
    later = TODAY + dt.timedelta(days=3)
    applied = refresh.apply(taken, TABLES, today=later, data_dir=data)
    offer = applied.tables.offers["runpod-secure-h100"]
    source = applied.tables.source_of(offer)
    assert (source.title, source.read_on) == ("gpuhunt catalogue of RunPod, 2026-11-26", later)
    assert source.url.startswith("https://")
    assert next(iter(applied.tables.releases.values())).released_on == later
    assert load_tables.__wrapped__(data).offers == applied.tables.offers
    assert not [path for path in data.iterdir() if path.name.startswith(".")]


def test_a_source_that_no_row_names_any_more_goes(data):
    """Where a renewal takes the last price from a source, its row is taken out and said."""
    used = Counter(
        row.source_id
        for field in dataclasses.fields(TABLES)
        if field.name != "sources"
        for row in getattr(TABLES, field.name).values()
    )
    offer = next(o for o in TABLES.offers.values() if used[o.source_id] == 1 and o.gpus_max == 1)
    table = "offer_id,provider,gpu,price,unit,kind,source\n" + ",".join(
        [
            offer.offer_id,
            offer.provider,
            offer.gpu,
            f"{offer.usd_per_gpu_h * 1.01:.6f}",
            "usd_per_gpu_hour",
            offer.kind,
            "https://prices.example",
        ]
    )
    brought = [refresh.Brought("list.csv", table.encode())]
    reading = refresh.read(brought, TABLES, as_of=TODAY)
    proposal = refresh.propose(reading, TABLES, as_of=TODAY, today=TODAY)
    taken, _ = refresh.Accepted().taken(proposal)
    applied = refresh.apply(taken, TABLES, today=TODAY, data_dir=data)
    assert applied.sources_gone == (offer.source_id,)
    assert offer.source_id not in applied.tables.sources


def test_new_and_gone_offers_are_written_where_they_are_accepted(data):
    """A row below the others; one that is gone stays, marked as not for sale and not featured."""
    proposal = proposed("gpuhunt_runpod.csv")
    accepted = refresh.Accepted.of(["runpod-secure-mi300x", "runpod-secure-a100"])
    taken, _ = accepted.taken(proposal)
    applied = refresh.apply(taken, TABLES, today=TODAY, data_dir=data)
    assert list(applied.tables.offers)[-1] == "runpod-secure-mi300x"
    gone = applied.tables.offers["runpod-secure-a100"]
    assert (gone.available, gone.featured) == ("no", False)
    assert gone.priced_on == TABLES.offers["runpod-secure-a100"].priced_on


def test_nothing_is_replaced_if_the_new_tables_are_not_sound(data):
    """A row that refers to rules that are not there leaves every file as it was."""
    item = item_of(proposed("gpuhunt_runpod.csv"), "runpod-secure-mi300x")
    broken = dataclasses.replace(item, offer=dataclasses.replace(item.offer, rules_id="nobody"))
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    with pytest.raises(TableError, match="nobody"):
        refresh.apply([broken], TABLES, today=TODAY, data_dir=data)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_table_of_a_spreadsheet_keeps_its_marks_and_line_ends(data):
    """Byte-order mark, CRLF, needless quotes and a missing last line end stay where they were."""
    path = data / "offers.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace("modal-t4,Modal,", '"modal-t4","Modal",')
    strange = ("\ufeff" + "\r\n".join(lines)).encode()
    path.write_bytes(strange)
    taken, _ = refresh.Accepted().taken(proposed("gpuhunt_runpod.csv"))
    refresh.apply(taken, TABLES, today=TODAY, data_dir=data)
    before, after = strange.split(b"\r\n"), path.read_bytes().split(b"\r\n")
    assert len(before) == len(after)
    changed = {new.split(b",")[0] for old, new in zip(before, after, strict=True) if old != new}
    assert changed == {item.offer_id.encode() for item in taken}


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_stop_between_two_files_leaves_sound_tables(data, monkeypatch, steps):
    """Whatever file the disk fills up at, every source that a price names is there."""
    taken, _ = refresh.Accepted.of(["all"]).taken(proposed("gpuhunt_runpod.csv"))
    replace, done = Path.replace, []

    def stops(path, target):
        if len(done) == steps:
            raise OSError(28, "No space left on device")
        done.append(target)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", stops)
    later = newest_release(TABLES).released_on + dt.timedelta(days=1)
    with pytest.raises(InputError, match="No space left"):
        refresh.apply(taken, TABLES, today=later, data_dir=data)
    load_tables.__wrapped__(data)
    assert not [path for path in data.iterdir() if path.name.startswith(".")]


def test_a_second_renewal_from_the_same_list_changes_nothing(data):
    """What was applied is confirmed with the same date, and there is nothing to write."""
    taken, _ = refresh.Accepted().taken(proposed("gpuhunt_runpod.csv"))
    tables = refresh.apply(taken, TABLES, today=TODAY, data_dir=data).tables
    again, _ = refresh.Accepted().taken(proposed("gpuhunt_runpod.csv", tables=tables))
    assert not again


# --- archives, the network, the command ---------------------------------------------------------


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_is_read_like_a_folder(tmp_path):
    """Gpuhunt's archive holds one file, named after its provider."""
    path = tmp_path / "catalog.zip"
    path.write_bytes(archive(**{"runpod.csv": (HERE / "gpuhunt_runpod.csv").read_bytes()}))
    proposal = proposed(path)
    assert item_of(proposal, "runpod-secure-h100").new_usd == 3.89


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    """No more is unpacked than the limit in data/."""
    small = dataclasses.replace(TABLES.settings["refresh_max_bytes"], value=1000)
    tables = dataclasses.replace(TABLES, settings={**TABLES.settings, "refresh_max_bytes": small})
    path = tmp_path / "catalog.zip"
    path.write_bytes(archive(**{"runpod.csv": b"0" * 1001}))
    with pytest.raises(InputError, match=r"holds more than 0\.001 MB"):
        refresh.inputs_from(path, tables)


def test_a_published_catalogue_is_fetched_only_by_the_function_that_is_handed_in():
    """Version first, then the archive of that version, at the addresses in data/catalogues.csv."""
    asked = []

    def recorded(url, tables):
        asked.append(url)
        if url.endswith("/version"):
            return b"20261126-7\n"
        return archive(**{"runpod.csv": (HERE / "gpuhunt_runpod.csv").read_bytes()})

    brought = refresh.inputs_from_network("gpuhunt-runpod", TABLES, recorded)
    row = TABLES.catalogues["gpuhunt-runpod"]
    assert asked == [row.version_url, row.url.replace("{version}", "20261126-7")]
    reading = refresh.read(brought, TABLES, as_of=TODAY)
    assert {found.provider for found in reading.rows} == {"RunPod"}
    assert reading.rows[0].url == asked[1]
    with pytest.raises(InputError, match="no version"):
        refresh.inputs_from_network("gpuhunt-runpod", TABLES, lambda *a: b"<html>")
    with pytest.raises(InputError, match="catalogue"):
        refresh.inputs_from_network("nobody", TABLES, recorded)


def test_an_address_that_does_not_answer_is_said_in_a_sentence():
    """A port on this machine where nobody listens, and an address that is not encrypted."""
    with pytest.raises(InputError, match="did not answer"):
        refresh.fetch("https://127.0.0.1:9/catalog.zip", TABLES)
    with pytest.raises(InputError, match="https"):
        refresh.fetch("http://127.0.0.1:9/catalog.zip", TABLES)


def test_the_command_proposes_and_changes_nothing_until_it_is_told_to(data, capsys, tmp_path):
    """The proposal is printed and written; with --apply and --accept the tables change."""
    arguments = ["refresh", str(HERE / "gpuhunt_runpod.csv"), "--data", str(data)]
    arguments += ["--as-of", "2026-11-25"]
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    out = [str(tmp_path / "proposal.csv"), str(tmp_path / "proposal.json")]
    assert cli.main([*arguments, "--out", out[0], "--out", out[1]]) == 0
    printed = capsys.readouterr().out
    assert "runpod-secure-h100" in printed
    assert "nothing has changed" in printed
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    with Path(out[0]).open(encoding="utf-8-sig", newline="") as handle:
        rows = {row["offer_id"]: row for row in csv.DictReader(handle)}
    row = rows["runpod-secure-h100"]
    assert (row["what"], row["old_usd_per_gpu_h"], row["new_usd_per_gpu_h"]) == (
        "changed",
        "3.99",
        "3.89",
    )
    assert (row["move_percent"], row["new_date"]) == ("-2.51", "2026-11-25")
    found = json.loads(Path(out[1]).read_text(encoding="utf-8"))
    assert {item["what"] for item in found["proposal"]} == {
        "changed",
        "confirmed",
        "new",
        "gone",
        "unmatched",
    }
    assert cli.main([*arguments, "--apply", "--accept", "runpod-community-l40s"]) == 0
    printed = capsys.readouterr().out
    assert "Wrote 4 offers" in printed
    tables = load_tables.__wrapped__(data)
    assert tables.offers["runpod-community-l40s"].usd_per_gpu_h == 0.079
    assert tables.offers["runpod-secure-h100"].priced_on == dt.date(2026, 11, 25)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["refresh"], "price list"),
        (["refresh", "nowhere.csv"], "no file or folder"),
        (["refresh", "x", "--as-of", "yesterday"], "--as-of"),
        (["refresh", "x", "--accept", "all"], "--apply"),
        (["refresh", "x", "--provider", "Acme"], "no provider here"),
        (["refresh", "x", "--usd-per", "EUR"], "CODE=RATE"),
    ],
)
def test_a_command_that_cannot_be_followed_says_why_in_one_line(arguments, words, capsys):
    """Nothing of Python's own ends on the screen."""
    assert cli.main(arguments) == cli.EXIT_REFUSED
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_no_address_of_a_package_registry_is_in_data():
    """Catalogues are fetched from where they are published and from nowhere else."""
    hosts = {row.url.split("/")[2] for row in TABLES.catalogues.values()}
    assert hosts == {"raw.githubusercontent.com", "dstack-gpu-pricing.s3.eu-west-1.amazonaws.com"}

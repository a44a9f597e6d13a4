"""A machine of one's own as an offer: what it costs an hour, spread over its life.

The figure is an amortisation, not a price: nobody sells at it, and it is paid whether the machine
is used or not. Left out: interest, residual value, staff, network and spare parts.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from dataclasses import dataclass
from types import MappingProxyType

from frontier import spell
from frontier.boundary import reads
from frontier.errors import InputError
from frontier.tables import OWN_SOURCE, YOURS, Offer, Tables, look_up

OWNED_OFFER = "on-premises"
"""The name of the offer, of which there is one at most."""

OWNED_FIELDS = {
    "usd": "own_machine_usd",
    "gpus": "own_machine_gpus",
    "months": "own_machine_months",
    "watts": "own_machine_watts",
    "pue": "own_machine_pue",
    "usd_per_kwh": "own_machine_usd_per_kwh",
    "colocation_usd_month": "own_machine_colocation_usd_month",
}
"""Each field of an `OwnedMachine` but the GPU, with its row of data/settings.csv."""

_RULES = "own-machine"
_WATTS_PER_KW = 1000.0


@dataclass(frozen=True, slots=True)
class OwnedMachine:
    """A machine that somebody bought.

    Attributes
    ----------
    gpu : str
        A row of data/gpus.csv.
    gpus : int
        How many it has.
    usd : float
        What it was bought for [$].
    months : float
        Over which that is spread [months].
    watts : float
        What it draws on average, between idle and full load [W].
    pue : float
        Power of the data centre over that of its machines [1].
    usd_per_kwh : float
        Price of electricity [$/kWh].
    colocation_usd_month : float
        Rent of its place [$/month].
    """

    gpu: str
    gpus: int
    usd: float
    months: float
    watts: float
    pue: float
    usd_per_kwh: float
    colocation_usd_month: float

    def check(self, tables: Tables) -> None:
        """Raise an `InputError` if a field lies outside the range of its setting."""
        look_up(tables.gpus, self.gpu, "GPU")
        for field, setting_id in OWNED_FIELDS.items():
            row, value = tables.settings[setting_id], getattr(self, field)
            low, high = row.bounds
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(
                    f"A machine of your own: expected {field} from {low:g} to {high:g} "
                    f"[{row.unit}], found {value:g}"
                )
        if self.gpus != int(self.gpus):
            raise InputError(
                f"A machine of your own: expected a whole number of gpus, found {self.gpus:g}"
            )

    def usd_per_gpu_h(self, hours_per_month: float) -> dict[str, float]:
        """Return what an hour of one of its GPUs costs, by what it is for [$/GPU/h].

        Notes
        -----
        With H hours in a month and n GPUs: ``purchase / (months H n)``, ``colocation / (H n)``
        and ``watts / 1000 × PUE × $/kWh / n``.
        """
        gpu_hours = hours_per_month * self.gpus
        return {
            "purchase": self.usd / self.months / gpu_hours,
            "colocation": self.colocation_usd_month / gpu_hours,
            "electricity": self.watts / _WATTS_PER_KW * self.pue * self.usd_per_kwh / self.gpus,
        }

    def in_words(self, hours_per_month: float) -> str:
        """Return how the figure comes about, as a sentence with its arithmetic."""
        parts = self.usd_per_gpu_h(hours_per_month)
        split = ", ".join(f"{name} {spell.dollars(usd)}" for name, usd in parts.items())
        return (
            "An amortisation, not a price, paid whether used or not: "
            f"({spell.dollars(self.usd)} / {self.months:g} months + "
            f"{spell.dollars(self.colocation_usd_month)} colocation) / {hours_per_month:g} h + "
            f"{self.watts / _WATTS_PER_KW:g} kW × PUE {self.pue:g} × "
            f"{spell.dollars(self.usd_per_kwh)}/kWh, over {spell.count(self.gpus, 'GPU')}: "
            f"{split} a GPU-hour."
        )


def with_owned(tables: Tables, machine: OwnedMachine, today: dt.date) -> Tables:
    """Return the tables with a machine of one's own among the offers.

    Raises
    ------
    InputError
        If a field of it is out of range, or there is no such GPU.
    """
    machine.check(tables)
    hours = tables.setting("hours_per_month")
    offer = Offer(
        offer_id=OWNED_OFFER,
        provider="On-premises",
        product=f"{machine.gpus}-GPU machine",
        kind="reserved",
        gpu=machine.gpu,
        gpus_min=int(machine.gpus),
        gpus_max=int(machine.gpus),
        usd_per_gpu_h=math.fsum(machine.usd_per_gpu_h(hours).values()),
        price_kind=YOURS,
        vcpus_per_gpu=None,
        ram_gib_per_gpu=None,
        usd_per_vcpu_s=None,
        usd_per_gib_s=None,
        region="yours",
        rules_id=_RULES,
        available="yes",
        featured=False,
        priced_on=today,
        basis=YOURS,
        source_id=OWN_SOURCE,
        note=machine.in_words(hours),
    )
    return dataclasses.replace(
        tables, offers=MappingProxyType({**tables.offers, OWNED_OFFER: offer})
    )


@reads("The machine of your own")
def owned_from_text(text: str, tables: Tables) -> OwnedMachine:
    """Return the machine that ``gpu=NAME,usd=NUMBER,...`` describes; defaults for what is left out.

    Raises
    ------
    InputError
        If a part cannot be read, or the GPU is not given.
    """
    cells: dict[str, float] = {
        field: tables.setting(setting_id) for field, setting_id in OWNED_FIELDS.items()
    }
    gpu = ""
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name == "gpu":
            gpu = value
            continue
        if name not in cells:
            raise InputError(
                f"A machine of your own: expected gpu, {', '.join(OWNED_FIELDS)}, found '{name}'"
            )
        try:
            cells[name] = float(value)
        except ValueError:
            raise InputError(
                f"A machine of your own: expected a number as {name}, found '{value}'"
            ) from None
    if not gpu:
        raise InputError("A machine of your own: name its GPU, as in gpu=L40S")
    machine = OwnedMachine(gpu, **cells)  # type: ignore[arg-type]
    machine.check(tables)
    return dataclasses.replace(machine, gpus=int(machine.gpus))

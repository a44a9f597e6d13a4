"""Dollars a month, line by line: GPU-hours by price, cores and memory, fees, storage, credits.

Quantities are those of the whole span that was simulated; each line turns them into a month by
the hours of a month over the hours that were seen, as the bill does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable

from frontier import spell
from frontier.billing import GPU_LINES, METERED, BillBasis, PoolBasis, machine_shape
from frontier.edits import Edit
from frontier.explain.ground import Ground
from frontier.explain.terms import (
    BELOW,
    LISTED,
    SIMULATED,
    TRAFFIC,
    YOUR_INPUT,
    Explanation,
    Reference,
    Term,
    reference,
    total,
)
from frontier.sweep import Outcome
from frontier.tables import OWN_SOURCE, Offer, ProviderRules
from frontier.units import SECONDS_PER_HOUR
from frontier.verdict import PlanFacts, Saving, named

A_MONTH = "a month"
_MONTH = "{month_h} ÷ {seen_h}"
_NOTHING_USD = 1e-9
_LINE_NOTES = {
    "busy": "serving requests",
    "idle": "kept with nothing to do, as far as that is billed",
    "starting": "the billed stages of starts",
    "parked": "asleep, the share of the GPU still paid",
    "rounding": "up to whole increments and the minimum",
    "unused": "GPUs of a machine that no replica uses",
    "empty": "nodes with no replica on them",
}


def cost_of(study: Ground, outcome: Outcome, edits: Collection[Edit] = ()) -> Explanation:
    """Return where the dollars a month of a plan come from.

    Parameters
    ----------
    edits : collection of Edit
        The cells that the user changed: they lead to the user, not to the row's source.
    """
    return _Money(study, study.basis(outcome), edits, outcome).explained()


def saving_of(saving: Saving, zero: PlanFacts, rival: PlanFacts) -> Explanation:
    """Return what scale-to-zero as shipped costs less, or more, than its rival, and why."""
    bills = [
        Term(
            key,
            f"bill of {named(plan)}",
            plan.usd_per_month,
            "$ a month",
            "its own bill",
        )
        for key, plan in (("zero", zero), ("rival", rival))
    ]
    parts = Explanation(
        figure="The same difference by cause",
        formula=total(reasons := _reasons(saving)),
        terms=reasons,
        write=usd_in_words,
        unit=A_MONTH,
        note="Hours are valued at the rival’s price, the price at the hours of scale-to-zero: "
        "so nothing is counted twice and nothing is left over.",
    )
    return Explanation(
        figure=f"Scale-to-zero as shipped less {named(rival)}",
        formula="{zero} − {rival}",
        terms=tuple(bills),
        write=usd_in_words,
        unit=A_MONTH,
        note="Below 0, scale-to-zero saves so much.",
        parts=(parts,),
    )


def usd_in_words(usd: float) -> str:
    """Return an amount as a bill shows it: what is left by the last bits of a float is nothing."""
    return spell.dollars(0.0 if abs(usd) < _NOTHING_USD else usd)


def _reasons(saving: Saving) -> tuple[Term, ...]:
    how = {
        "GPU-hours": "(its GPU-hours − the rival’s) × the rival’s price of one",
        "price of a GPU-hour": "(its price − the rival’s) × its GPU-hours",
    }
    return tuple(
        Term(
            f"part{at}",
            name,
            usd,
            "$ a month",
            "from the two bills",
            note=how.get(name, "its line − the rival’s"),
        )
        for at, (name, usd) in enumerate(saving.parts.items())
        if abs(usd) >= _NOTHING_USD
    )


class _Money:
    """Terms of one bill, each with its source."""

    def __init__(
        self, study: Ground, basis: BillBasis, edits: Iterable[Edit], outcome: Outcome
    ) -> None:
        self.study, self.basis, self.outcome, self.tables = study, basis, outcome, study.tables
        self._edited = {(edit.table, edit.key, edit.column) for edit in edits}
        month = self.tables.settings["hours_per_month"]
        self.month = (
            Term(
                "month_h",
                "hours of a month",
                basis.hours_per_month,
                "h",
                YOUR_INPUT if month.source_id == OWN_SOURCE else month.basis,
                self._sources(month),
            ),
            Term("seen_h", "hours seen", basis.horizon_s / SECONDS_PER_HOUR, "h", TRAFFIC),
        )

    def explained(self) -> Explanation:
        lines = [line for pool in self.basis.pools for line in self._pool(pool)]
        lines += self._requests() + self._storage()
        figure = f"Dollars a month: {self.outcome.plan.label}"
        if len(lines) == 1:
            return dataclasses.replace(lines[0], figure=figure)
        terms = tuple(
            Term(f"line{at}", _lower(line.figure), line.value, "$ a month", BELOW)
            for at, line in enumerate(lines)
        )
        return Explanation(
            figure=figure,
            formula=total(terms),
            terms=terms,
            write=usd_in_words,
            unit=A_MONTH,
            parts=tuple(lines),
        )

    def _pool(self, pool: PoolBasis) -> list[Explanation]:
        """Return the lines of the replicas that share an offer: those that are not 0."""
        offer = self.tables.offers[pool.offer_id]
        rules = self.tables.rules_of(offer)
        whose = f" at {offer.provider}" if len(self.basis.pools) > 1 else ""
        if pool.is_base:
            whose += " (the base)"
        hours = self._gpu_hours(pool, rules)
        lines = []
        if hours:
            lines.append(self._gpu_time(pool, offer, hours, whose))
        if pool.unused_committed_gpu_s:
            lines.append(self._unused_commitment(pool, offer, whose))
        if pool.cpu_ram_usd_per_gpu_h and hours:
            lines.append(self._cores(pool, offer, rules, hours, whose))
        if pool.kept_ram_gib_s and pool.usd_per_gib_h:
            lines.append(self._kept_ram(pool, offer, whose))
        used_usd = math.fsum(line.value for line in lines)
        if pool.fee_usd_per_month:
            fee = self._ruled(
                "fee", "fee of the plan", pool.fee_usd_per_month, rules, "platform_fee_usd_month"
            )
            lines.append(self._line(f"Fee{whose}", "{fee}", (fee,)))
        if pool.credit_usd_per_month and used_usd:
            credit = self._ruled(
                "credit", "credit", pool.credit_usd_per_month, rules, "free_credit_usd_month"
            )
            used = Term("used", "used before it", used_usd, "$ a month", "the lines before")
            formula = "−min({credit}, {used})"
            lines.append(self._line(f"Credit{whose}", formula, (credit, used)))
        return lines

    def _gpu_hours(self, pool: PoolBasis, rules: ProviderRules) -> tuple[Term, ...]:
        sources = self._sources(rules)
        terms = [
            Term(
                name,
                label,
                float(gpu_s) / SECONDS_PER_HOUR,
                "GPU-h",
                SIMULATED,
                sources if name in ("idle", "starting", "rounding") else (),
                _LINE_NOTES[name],
            )
            for name, label, gpu_s in zip(
                METERED, GPU_LINES, pool.meters.gpu_s.sum(axis=1), strict=False
            )
            if gpu_s
        ]
        if pool.extra_start_gpu_s:
            terms.append(
                Term(
                    "extra",
                    "starts beyond the replicas’ own",
                    pool.extra_start_gpu_s / SECONDS_PER_HOUR,
                    "GPU-h",
                    SIMULATED,
                    note="repeated after an interruption, or burnt by a mitigation",
                )
            )
        return tuple(terms)

    def _price(self, pool: PoolBasis, offer: Offer) -> tuple[Term, ...]:
        """Return the list price of a GPU-hour, and what is negotiated of it before a commitment."""
        own = offer.source_id == OWN_SOURCE
        terms = [
            Term(
                "price",
                "price of a GPU-hour",
                pool.usd_per_gpu_h,
                "$/GPU-h",
                YOUR_INPUT if own else f"{offer.price_kind} price",
                self._sources(offer),
                f"{offer.provider} {offer.product}, price of {pool.priced_on}",
            )
        ]
        return (*terms, *self._multiplier(pool, offer))

    def _multiplier(self, pool: PoolBasis, offer: Offer) -> tuple[Term, ...]:
        if pool.multiplier == 1:
            return ()
        rules = self.tables.rules_of(offer)
        return (
            Term(
                "multiplier",
                "factor of region and availability",
                pool.multiplier,
                "",
                YOUR_INPUT,
                self._sources(rules),
                "you chose it; the provider’s factor",
            ),
        )

    def _commitment(self, pool: PoolBasis) -> tuple[Term, ...]:
        row = self.study.deal.commitment
        if not pool.discount or row is None:
            return ()
        own = row.source_id == OWN_SOURCE
        return (
            Term(
                "discount",
                "discount of the commitment",
                pool.discount,
                "",
                YOUR_INPUT if own else row.basis,
                self._sources(row),
                row.label,
            ),
        )

    def _gpu_time(
        self, pool: PoolBasis, offer: Offer, hours: tuple[Term, ...], whose: str
    ) -> Explanation:
        price, discount = self._price(pool, offer), self._commitment(pool)
        covered: tuple[Term, ...] = ()
        if discount:
            covered = (Term("covered", "share it covers", pool.covered_share, "", SIMULATED),)
        formula = f"{_summed(hours)} × {_product(price)}"
        if discount:
            formula += " × (1 − {discount} × {covered})"
        note = ""
        if pool.meters.gpus > 1:
            note = f"Each hour on a meter counts {pool.meters.gpus:,} GPUs."
        return self._line(
            f"GPU time{whose}",
            f"{formula} × {_MONTH}",
            (*hours, *price, *discount, *covered, *self.month),
            note,
        )

    def _unused_commitment(self, pool: PoolBasis, offer: Offer, whose: str) -> Explanation:
        price, discount = self._price(pool, offer), self._commitment(pool)
        unused = Term(
            "unused",
            "committed and not used",
            pool.unused_committed_gpu_s / SECONDS_PER_HOUR,
            "GPU-h",
            SIMULATED,
        )
        formula = f"{{unused}} × {_product(price)}" + (" × (1 − {discount})" if discount else "")
        return self._line(
            f"Unused commitment{whose}",
            f"{formula} × {_MONTH}",
            (unused, *price, *discount, *self.month),
        )

    def _cores(
        self,
        pool: PoolBasis,
        offer: Offer,
        rules: ProviderRules,
        hours: tuple[Term, ...],
        whose: str,
    ) -> Explanation:
        gpus, replicas = machine_shape(offer, self.outcome.plan.speed.gpus_per_replica)
        host = self.study.deal.terms(
            offer, are_nodes=self.outcome.plan.policy.nodes is not None
        ).host
        sources, rates = self._sources(rules), self._sources(offer)
        amounts = (
            ("vcpus", "vCPU of a replica", pool.vcpus, "vCPU", offer.usd_per_vcpu_s, host.vcpus),
            ("ram", "memory of a replica", pool.ram_gib, "GiB", offer.usd_per_gib_s, host.ram_gib),
        )
        terms: list[Term] = []
        rate = []
        for key, name, amount, unit, usd_per_s, given in amounts:
            if not usd_per_s or not amount:
                continue
            basis = "by the model’s size and the provider’s rules" if given is None else YOUR_INPUT
            terms += [
                Term(key, name, amount, unit, basis, sources),
                Term(
                    f"{key}_usd",
                    f"price of a {unit}-hour",
                    usd_per_s * SECONDS_PER_HOUR,
                    f"$/{unit}-h",
                    YOUR_INPUT if offer.source_id == OWN_SOURCE else f"{offer.price_kind} price",
                    rates,
                ),
            ]
            rate.append(f"{{{key}}} × {{{key}_usd}}")
        formula = f"{_summed(hours)} × ({' + '.join(rate)})"
        if (gpus, replicas) != (1, 1):
            formula += " × {replicas} ÷ {gpus}"
            terms += [
                Term("replicas", "replicas of a machine", replicas, "", "derived"),
                Term("gpus", "GPUs of a machine", gpus, "", LISTED, rates),
            ]
        multiplier = self._multiplier(pool, offer)
        if multiplier:
            formula += " × {multiplier}"
        return self._line(
            f"Cores and memory{whose}",
            f"{formula} × {_MONTH}",
            (*hours, *terms, *multiplier, *self.month),
        )

    def _kept_ram(self, pool: PoolBasis, offer: Offer, whose: str) -> Explanation:
        kept = Term(
            "kept",
            "memory kept by mitigations",
            pool.kept_ram_gib_s / SECONDS_PER_HOUR,
            "GiB-h",
            SIMULATED,
            self._of_mitigations(),
        )
        rate = Term(
            "ram_usd",
            "price of a GiB-hour",
            pool.usd_per_gib_h,
            "$/GiB-h",
            YOUR_INPUT if offer.source_id == OWN_SOURCE else f"{offer.price_kind} price",
            self._sources(offer),
        )
        multiplier = self._multiplier(pool, offer)
        formula = "{kept} × {ram_usd}" + (" × {multiplier}" if multiplier else "")
        return self._line(
            f"Memory kept by mitigations{whose}",
            f"{formula} × {_MONTH}",
            (kept, rate, *multiplier, *self.month),
        )

    def _requests(self) -> list[Explanation]:
        usd = self.basis.request_fee_usd
        if not usd or not self.basis.requests:
            return []
        rules = self.tables.rules_of(self.tables.offers[self.outcome.plan.offer_id])
        terms = (
            Term("requests", "requests", self.basis.requests, "", TRAFFIC),
            dataclasses.replace(
                self._ruled("fee", "fee of a request", usd, rules, "request_fee_usd"), unit="$ each"
            ),
            *self.month,
        )
        return [self._line("Fees of requests", f"{{requests}} × {{fee}} × {_MONTH}", terms)]

    def _storage(self) -> list[Explanation]:
        basis = self.basis
        if not basis.storage_gb or not basis.storage_usd_per_gb_month:
            return []
        rules = self.tables.rules_of(self.tables.offers[self.outcome.plan.offer_id])
        setting = self.tables.settings["storage_usd_per_gb_month"]
        name = "price of storage"
        price = (
            Term(
                "usd",
                name,
                basis.storage_usd_per_gb_month,
                "$/GB a month",
                setting.basis,
                self._sources(setting),
            )
            if rules.storage_usd_per_gb_month is None
            else dataclasses.replace(
                self._ruled(
                    "usd", name, basis.storage_usd_per_gb_month, rules, "storage_usd_per_gb_month"
                ),
                unit="$/GB a month",
            )
        )
        stored = Term(
            "stored",
            "stored throughout",
            basis.storage_gb,
            "GB",
            "derived",
            self._of_mitigations(),
            "what mitigations keep",
        )
        return [self._line("Storage", "{stored} × {usd}", (stored, price))]

    def _of_mitigations(self) -> tuple[Reference, ...]:
        rows = [
            row
            for key in self.outcome.plan.mitigations
            for row in self.tables.mitigations.values()
            if row.mitigation == key
        ]
        return tuple(dict.fromkeys(reference(self.tables.source_of(row)) for row in rows))

    def _ruled(self, key: str, name: str, usd: float, rules: ProviderRules, column: str) -> Term:
        """Return a term that a provider's rules state, or the user in their place."""
        is_own = ("provider_rules", rules.rules_id, column) in self._edited
        return Term(
            key,
            name,
            usd,
            "$ a month",
            YOUR_INPUT if is_own else rules.basis,
            () if is_own else self._sources(rules),
            f"{rules.provider} {rules.product}",
        )

    def _sources(self, row: object) -> tuple[Reference, ...]:
        source_id = row.source_id  # type: ignore[attr-defined]
        if source_id == OWN_SOURCE:
            return ()
        return (reference(self.tables.sources[source_id]),)

    def _line(
        self, figure: str, formula: str, terms: tuple[Term, ...], note: str = ""
    ) -> Explanation:
        return Explanation(figure, formula, terms, usd_in_words, A_MONTH, note)


def _summed(terms: tuple[Term, ...]) -> str:
    return total(terms) if len(terms) == 1 else f"({total(terms)})"


def _product(terms: tuple[Term, ...]) -> str:
    return " × ".join(f"{{{term.key}}}" for term in terms)


def _lower(figure: str) -> str:
    return figure if figure.startswith("GPU") else spell.lower_first(figure)

"""The plans that a record sets side by side: the chosen one, as shipped, always-on, committed.

Where nobody chose a commitment, the committed plan is the always-on one at the list price of a
machine with the same GPU that is reserved: the same replicas, so the same waits, under another
contract. Of those with a stated term the one that binds shortest is taken, then the cheapest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from frontier import spell
from frontier.billing import BillBasis, Contract, bill, bill_basis
from frontier.company import Company
from frontier.errors import InfeasibleError
from frontier.finance.figures import CommitmentTerms, Figures, figures
from frontier.plans.families import RESERVED
from frontier.prices.age import NOT_SOLD
from frontier.study import Study
from frontier.sweep import Outcome, usage_of
from frontier.tables import Offer, Tables

CHOSEN, SHIPPED, ALWAYS_ON, COMMITTED = (
    "This plan",
    "Scale-to-zero as shipped",
    "Always-on",
    "Committed",
)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One plan of a record.

    Attributes
    ----------
    roles : tuple of str
        What it is there for: one plan may be the chosen one and always-on.
    figures : Figures
    basis : BillBasis
        What its bill is computed from.
    outcome : Outcome
        What it did with the traffic.
    waiting_of_thousand : int
        Requests of 1,000 that wait on a start.
    is_list_commitment : bool
        Whether nobody chose that commitment: its list price stands in.
    """

    roles: tuple[str, ...]
    figures: Figures
    basis: BillBasis
    outcome: Outcome
    waiting_of_thousand: int
    is_list_commitment: bool = False


def columns_of(study: Study, plan_id: str, company: Company) -> tuple[Column, ...]:
    """Return the chosen plan and those it is set beside, each plan once, the chosen one first."""
    verdict, outcomes = study.verdict, study.outcomes
    wanted = {CHOSEN: plan_id}
    if verdict.shipped is not None:
        wanted[SHIPPED] = verdict.shipped.plan_id
    if verdict.rival is not None:
        wanted[ALWAYS_ON] = _by_the_hour(study, verdict.rival.plan_id)
    rival = None if verdict.rival is None else outcomes[wanted[ALWAYS_ON]]
    committed = None if rival is None else _committed(study, rival)
    if committed is not None:
        wanted[COMMITTED] = committed
    found = []
    for own_id in dict.fromkeys(wanted.values()):
        roles = tuple(role for role, of_role in wanted.items() if of_role == own_id)
        outcome = outcomes[own_id]
        found.append(
            Column(
                roles,
                figures_of(study, outcome, company),
                study.basis(outcome),
                outcome,
                study.facts(outcome).waiting_of_thousand,
            )
        )
    if rival is not None and COMMITTED not in wanted:
        listed = _at_list(study, rival, company)
        if listed is not None:
            found.append(listed)
    return tuple(found)


def cheaper_in_words(study: Study, columns: Iterable[Column]) -> str:
    """Return which of these plans holds the limit and costs less than the verdict's; else nothing.

    A verdict chooses among the offers and terms that were asked for, and a list price of a
    commitment stands beside it: without this sentence the two would contradict each other.
    """
    winner = study.verdict.cheapest_within
    for column in columns:
        usd = column.figures.usd_per_month
        if not column.is_list_commitment or column.outcome.latency.p99_ttft_s > study.limit_s:
            continue
        terms = column.figures.commitment
        months = None if terms is None else terms.terms.term_months
        bound = "" if months is None else f", bound for {spell.count(months, 'month')}"
        head = f"A commitment that nobody chose here ({column.figures.detail}, list price{bound})"
        if winner is None:
            return f"{head} would hold the limit at {spell.dollars(usd)} a month."
        if usd < winner.usd_per_month:
            less = spell.dollars(winner.usd_per_month - usd)
            return f"{head} would hold the limit too, for {less} a month less."
    return ""


def figures_of(study: Study, outcome: Outcome, company: Company) -> Figures:
    """Return one plan of a study in the units of finance."""
    basis, tables, plan = study.basis(outcome), study.tables, outcome.plan
    always_on = next((pool for pool in basis.pools if pool.is_base), basis.pools[0])
    offer = tables.offers[always_on.offer_id]
    is_reserved = offer.kind == "reserved"
    terms = None
    if is_reserved:
        terms = _terms_of(offer, tables)
    elif plan.is_committed and study.deal.commitment is not None:
        commitment = study.deal.commitment
        terms = CommitmentTerms(commitment.label, commitment.term_months, commitment.upfront_share)
    return figures(
        basis,
        plan=(plan.plan_id, plan.label, plan.detail),
        tokens=outcome.tokens,
        company=company,
        hours_per_year=tables.setting("hours_per_year"),
        terms=terms,
        is_reserved=is_reserved,
    )


def _terms_of(offer: Offer, tables: Tables) -> CommitmentTerms:
    row = tables.reserved_terms.get(offer.offer_id)
    label = f"{offer.provider} {offer.product}"
    if row is None:
        return CommitmentTerms(label, None, None)
    return CommitmentTerms(label, row.term_months, row.upfront_share)


def _by_the_hour(study: Study, plan_id: str) -> str:
    """Return the plan of the same machines by the hour, where this one is under a commitment."""
    plan = study.outcomes[plan_id].plan
    if not plan.is_committed:
        return plan_id
    return next(
        (
            other.plan.plan_id
            for other in study.outcomes.values()
            if not other.plan.is_committed and other.plan.policy == plan.policy
        ),
        plan_id,
    )


def _committed(study: Study, rival: Outcome) -> str | None:
    """Return the plan of the always-on machines under a commitment; None where there is none."""
    plan = rival.plan
    if study.tables.offers[plan.offer_id].kind == "reserved":
        return plan.plan_id
    return next(
        (
            other.plan.plan_id
            for other in study.outcomes.values()
            if other.plan.is_committed
            and other.plan.base_offer_id is None
            and other.plan.policy == plan.policy
        ),
        None,
    )


def _at_list(study: Study, rival: Outcome, company: Company) -> Column | None:
    """Return the always-on machines at a published reserved price of their GPU, if there is one."""
    tables, gpu = study.tables, study.tables.offers[rival.plan.offer_id].gpu
    usage, found = usage_of(rival), []
    for offer_id, row in tables.reserved_terms.items():
        offer = tables.offers[offer_id]
        if offer.gpu != gpu or offer.available == NOT_SOLD:
            continue
        terms = study.deal.terms(offer)
        try:
            basis = bill_basis(usage, Contract(offer, tables.rules_of(offer), terms), tables)
        except InfeasibleError:
            continue
        found.append((row.term_months, bill(basis).usd_span, offer_id, basis))
    if not found:
        return None
    _, _, offer_id, basis = min(found, key=lambda one: one[:3])
    offer = tables.offers[offer_id]
    plan = dataclasses.replace(
        rival.plan,
        plan_id=f"list-{offer_id}",
        label=RESERVED.head_of(rival.plan.policy.max_replicas),
        family=RESERVED,
        detail=f"{offer.provider} {offer.product}",
        offer_id=offer_id,
    )
    own = figures(
        basis,
        plan=(plan.plan_id, plan.label, plan.detail),
        tokens=rival.tokens,
        company=company,
        hours_per_year=tables.setting("hours_per_year"),
        terms=_terms_of(offer, tables),
        is_reserved=True,
    )
    return Column(
        (COMMITTED,),
        own,
        basis,
        dataclasses.replace(rival, plan=plan),
        study.facts(rival).waiting_of_thousand,
        is_list_commitment=True,
    )

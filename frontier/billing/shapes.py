"""Machines that differ in how many GPUs they hold, and in nothing else that matters to a replica.

Whoever rents a machine with one H100 could have rented the one with eight: same provider, GPU,
kind, region, rules and product family, so the same replicas start and serve alike on either. Only
the bill tells them apart. Left out, on purpose: mixes of shapes in one plan, and dollars.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from frontier.tables import OWN_SOURCE, Offer, Tables


def machine_shapes(offer: Offer, tables: Tables) -> tuple[Offer, ...]:
    """Return the offers whose machines can stand in for that one's, itself first.

    Serverless replicas are not on machines of the buyer's choice: there it stands alone. A price
    of the user's own has only others of the user's beside it.
    """
    if offer.kind == "serverless":
        return (offer,)
    family = _family(offer, tables)
    return (
        offer,
        *(
            other
            for other in tables.offers.values()
            if other.offer_id != offer.offer_id
            and (other.provider, other.kind, other.gpu) == (offer.provider, offer.kind, offer.gpu)
            and (other.region, other.rules_id) == (offer.region, offer.rules_id)
            and (other.source_id == OWN_SOURCE) == (offer.source_id == OWN_SOURCE)
            and (other.available == offer.available or other.available == "yes")
            and _family(other, tables) == family
        ),
    )


def _family(offer: Offer, tables: Tables) -> tuple[str, str]:
    """Return the family of a machine, and the words after its name: spot, or a term."""
    name, _, rest = offer.product.partition(",")
    folded = name.strip().casefold()
    for row in tables.instance_types.values():
        if row.gpu == offer.gpu and any(fnmatchcase(folded, pattern) for pattern in row.names):
            return row.instance_id, rest.strip()
    return folded, rest.strip()

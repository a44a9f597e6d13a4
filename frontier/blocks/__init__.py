"""Sweeps over more requests than fit in memory: block after block, the state carried over the seam.

`carried` runs replicas through blocks of requests as `simulate.simulate_replicas` does in one
piece, to the bit; `runs` a plan, of whose requests only counts are kept (`tally`); `sweeping` many
plans, each block read once, with a `checkpoint` to go on from. Requests on disk are
`trace.spooled`.
"""

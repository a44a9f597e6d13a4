"""Sweeps over more requests than fit in memory: block after block, the state carried over the seam.

`carried` runs replicas through blocks of requests as `simulate.simulate_replicas` does in one
piece, to the bit.
"""

"""What scale-to-zero really costs: dollars a month against p99 time to first token.

Floors, lowest first; a module imports only from floors below its own:
errors, units and validation; tables (data/*.csv); models; trace, start, serving; kernel and
analytic; policy; mitigations; plan; simulate; billing; economics; sweep; study; charts and report;
pages.
"""

__version__ = "0.1.0"

"""One module a chart: ``<name>_table`` computes, ``<name>_figure`` draws that table.

No chart runs a simulation or knows Streamlit. The table is also the chart's download and its
text alternative.
"""

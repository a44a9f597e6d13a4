"""The only code that knows Streamlit: one ``render()`` a page, controls, caches."""

from frontier.heaps import keep_together

# Before anything is loaded: each visitor has a thread, and each of the first ones takes a heap.
keep_together()

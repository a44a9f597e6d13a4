"""The only code that knows Streamlit: one ``render()`` a page, controls, caches."""

"""A cold start: its stages, their prediction, and published starts beside it."""

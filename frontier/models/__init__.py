"""Models that people bring: their configuration read, counted and said back."""

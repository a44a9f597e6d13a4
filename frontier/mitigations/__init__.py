"""What can be done against a cold start, one frozen dataclass a way."""

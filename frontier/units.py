"""Units: inside the code times are seconds, money is dollars (rates per hour), sizes carry theirs.

Conversion happens where a label is made (`spell`) or a file is read, and nowhere else.
"""

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86400.0
MONTHS_PER_YEAR = 12.0
BYTES_PER_MB = 1e6
BYTES_PER_GB = 1e9
BYTES_PER_GIB = 2.0**30
VCPUS_PER_PHYSICAL_CORE = 2
TOKENS_PER_MTOK = 1e6

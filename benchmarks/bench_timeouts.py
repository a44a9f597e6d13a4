"""What an idle-timeout curve costs, against its plans one by one.

A trace on which one replica suffices, and the default example as it is. CPU seconds of this thread.
"""

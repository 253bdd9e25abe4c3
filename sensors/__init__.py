"""What the DAGs listen to besides the clock: the assets, and the watchers that ring for them.

The watching itself is in ``reloads.airflow.doorbell``.
"""

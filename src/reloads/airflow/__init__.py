"""What Airflow sees of this package: assets, tasks, and the trigger that watches the drop folder."""

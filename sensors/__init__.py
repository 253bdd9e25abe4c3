"""What Airflow listens to: the doorbell at the drop folder."""

"""The Warehouse page inside Airflow's user interface: its data, its files, and who may see and do what."""

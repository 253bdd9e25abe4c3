"""The steps that join the rooms, for Airflow and for the command line."""

"""The whole pipeline on this machine, without containers.

PostgreSQL comes from a wheel, Airflow runs with its LocalExecutor, and supervisor keeps both running. Everything is
written below the home folder, which is the clone unless a test says otherwise.
"""

"""The pipeline as processes: `python -m stack env | up | down | status | demo [--docker]`, run in the clone.

    native/       here, without containers: PostgreSQL from a wheel, Airflow with its LocalExecutor, kept by supervisor
    docker/       in containers: what `make stack` needs beside docker-compose.yaml, and `image/`, which runs inside

What both share lies beside them: `airflow.env`, the one table of Airflow's settings; the client of Airflow's API;
waiting until the DAGs are there; passwords and keys; the sample of raw files; and the demo.

With `--docker` all but `demo` runs on a plain Python: no module that `docker/` imports needs an installed package.
"""

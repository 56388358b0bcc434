# Images of mdctl. Targets: cli-operator (no JAX), workload-tpu, workload-gpu.
#
#   docker build --target workload-tpu -t REGISTRY/mdctl:0.1.0-tpu .
#
# Any Debian base with Python 3.12 or later serves; pin it by digest where builds must repeat.
ARG BASE_IMAGE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/mdctl
ENV PATH=/opt/mdctl/bin:${PATH}
WORKDIR /src
COPY requirements/ requirements/

FROM base AS source
COPY pyproject.toml README.md ./
COPY cli/ cli/
COPY manifests/ manifests/
COPY operator/ operator/
COPY workloads/ workloads/
RUN pip install --require-hashes -r requirements/base.lock \
    && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM base AS cli-operator
RUN pip install --require-hashes -r requirements/operator.lock
COPY --from=source /wheels /wheels
RUN pip install --no-deps /wheels/*.whl
WORKDIR /
USER 65532:65532
ENTRYPOINT ["mdctl"]

FROM base AS workload-tpu
RUN pip install --require-hashes -r requirements/tpu.lock
COPY --from=source /wheels /wheels
RUN pip install --no-deps /wheels/*.whl
WORKDIR /
USER 65532:65532
ENTRYPOINT ["python", "-m", "mdctl.runtime"]

FROM base AS workload-gpu
RUN pip install --require-hashes -r requirements/gpu.lock
COPY --from=source /wheels /wheels
RUN pip install --no-deps /wheels/*.whl
WORKDIR /
USER 65532:65532
ENTRYPOINT ["python", "-m", "mdctl.runtime"]

# Images of mdctl. Targets: cli-operator (no JAX), workload-tpu, workload-gpu.
#
#   docker build --target workload-tpu -t REGISTRY/mdctl:0.1.0-tpu .
#
# Any Debian base with Python 3.12 or later and its venv serves; pin it by digest where builds must repeat. Everything
# else is pinned by the locks. Of one base and one commit two builds give the same layers:
#
#   buildah build --timestamp 0 --layers ...      docker buildx build --output type=oci,rewrite-timestamp=true,...
#
# A package index or an authority of your own, which then stand in no layer:
#
#   --secret id=pip.conf,src=/etc/pip.conf --secret id=ca.crt,src=...      pip.conf says: cert = /run/secrets/ca.crt
#
# Transformer Engine is in no image: transformer-engine-jax 2.20.2, its part for JAX, has no wheel, and its sources are
# built with a CUDA toolkit only ("CUDA not found."). workload-gpu holds what jax[cuda12] needs to run, and no compiler.
ARG BASE_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS base
ENV PATH=/opt/mdctl/bin:${PATH} HOME=/tmp PYTHONUNBUFFERED=1

# What installs: it stays behind. Bytecode is made apart from pip, which would write the time into it: workers may not
# write beside their packages, and without it every start compiles them anew.
FROM base AS builder
RUN python3 -m venv /opt/builder && python3 -m venv --without-pip /opt/mdctl
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONHASHSEED=0
ENV INSTALL="/opt/builder/bin/pip --python /opt/mdctl/bin/python install --no-compile"
ENV COMPILE="/opt/mdctl/bin/python -m compileall -qq --invalidation-mode unchecked-hash"
WORKDIR /src

FROM builder AS operator-packages
COPY requirements/operator.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    --mount=type=cache,target=/tmp/.cache/pip \
    ${INSTALL} --require-hashes -r operator.lock && ${COMPILE} /opt/mdctl/lib

FROM builder AS tpu-packages
COPY requirements/tpu.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    --mount=type=cache,target=/tmp/.cache/pip \
    ${INSTALL} --require-hashes -r tpu.lock && ${COMPILE} /opt/mdctl/lib

FROM builder AS gpu-packages
COPY requirements/gpu.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    --mount=type=cache,target=/tmp/.cache/pip \
    ${INSTALL} --require-hashes -r gpu.lock && ${COMPILE} /opt/mdctl/lib

# mdctl itself, in a tree of its own: the one layer that changes with it.
FROM builder AS wheel
COPY requirements/base.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    --mount=type=cache,target=/tmp/.cache/pip \
    /opt/builder/bin/pip install --require-hashes -r base.lock
COPY pyproject.toml README.md ./
COPY cli/ cli/
COPY manifests/ manifests/
COPY operator/ operator/
COPY workloads/ workloads/
ARG SOURCE_DATE_EPOCH=1580601600
RUN /opt/builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && ${INSTALL} --no-deps --root /own /wheels/*.whl \
    && ${COMPILE} -s /own -p / /own/opt/mdctl/lib

FROM base AS cli-operator
COPY --from=operator-packages /opt/mdctl /opt/mdctl
COPY --from=wheel /own /
USER 65532:65532
ENTRYPOINT ["mdctl"]

FROM base AS workload-tpu
COPY --from=tpu-packages /opt/mdctl /opt/mdctl
COPY --from=wheel /own /
USER 65532:65532
ENTRYPOINT ["python", "-m", "mdctl.runtime"]

FROM base AS workload-gpu
COPY --from=gpu-packages /opt/mdctl /opt/mdctl
COPY --from=wheel /own /
USER 65532:65532
ENTRYPOINT ["python", "-m", "mdctl.runtime"]

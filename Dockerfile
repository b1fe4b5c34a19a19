# The page, or any other command of LinEAS Studio, in a container:
#   docker build -t lineas .                            for CPUs
#   docker build -t lineas --build-arg DEVICE=cuda .    for NVIDIA GPUs (run with --gpus all)
# docs/deployment.md shows how to run it.
ARG DEVICE=cpu

# The version that the pinned packages are tested with.
FROM python:3.11-slim AS base
# uid 1000 is the user of a Hugging Face Space.
RUN useradd --create-home --uid 1000 lineas \
    && install --directory --owner=lineas --group=lineas /data
WORKDIR /src
COPY requirements.txt constraints.txt ./

# The CPU builds of torch stand in an index of their own; those of PyPI bring CUDA.
FROM base AS cpu
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu

FROM base AS cuda
# Triton, which torch for CUDA brings along, builds our kernel with a C compiler.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt

FROM ${DEVICE} AS final
# Built in a copy that is thrown away, so that no layer holds the sources a second time.
RUN --mount=type=bind,target=/build,rw pip install --no-cache-dir --no-deps /build
USER 1000
WORKDIR /data
# Maps, jobs, models that are downloaded and kernels that are built are kept in the volume.
ENV XDG_DATA_HOME=/data XDG_CACHE_HOME=/data/cache TRITON_CACHE_DIR=/data/cache/triton \
    PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 7860
# Any answer counts: a page asks for its login, an endpoint has no page at /.
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s CMD ["python", "-c", \
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', 7860, timeout=8); c.request('GET', '/'); raise SystemExit(c.getresponse().status >= 500)"]
ENTRYPOINT ["lineas"]
CMD ["studio", "--host", "0.0.0.0"]

# The server with its embedded models. No network is needed at run time.
FROM python:3.11-slim-bookworm AS build

# Where pip finds the CPU build of torch, besides the index it is configured with.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# The compiler of the students' C++, and its Debian package; what runs needs no compiler. Whichever version the base image's
# Debian has will do. clang++-19 and clang-19 are the other choice (docs/decisions/0064).
ARG CXX=g++
ARG CXX_PACKAGE=g++
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "${CXX_PACKAGE}" \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
RUN python3 -m venv /opt/latimer
ENV PATH=/opt/latimer/bin:$PATH \
    CXX=$CXX \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

COPY requirements.lock ./
RUN grep -E '^(pip|setuptools)==' requirements.lock > tools.txt \
    && grep '^torch==' requirements.lock > torch.txt \
    && pip install --requirement tools.txt \
    && pip install --no-deps --retries 1 --extra-index-url "${TORCH_INDEX}" --requirement torch.txt

COPY pyproject.toml setup.py README.md LICENSE NOTICE ./
COPY clients/python clients/python
COPY service service
RUN pip install --constraint requirements.lock --no-build-isolation './clients/python[cli]' '.[otel,redis]' \
    && python -c 'from latimer_server.backends.marian.native_library import open_library; assert open_library()' \
    && latimer-server models fetch --store /models


FROM python:3.11-slim-bookworm

RUN useradd --system --uid 10001 --no-create-home latimer
COPY --from=build /opt/latimer /opt/latimer
COPY --from=build /models /models

ENV PATH=/opt/latimer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LATIMER_LISTEN=0.0.0.0:50051 \
    LATIMER_STORE=/models \
    LATIMER_LOG_FORMAT=json \
    LATIMER_METRICS=0.0.0.0:9464

USER 10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["latimer", "health", "--address", "127.0.0.1:50051"]
ENTRYPOINT ["latimer-server"]
# Other machines reach the container without TLS and keys: keep its port inside a network that you trust, or give it
# certificates and keys (docs/security.md).
CMD ["serve", "--insecure"]

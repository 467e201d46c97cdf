# The server as an image: docs/how-to/containers.md says how to run it.
FROM python:3.13-slim-trixie AS build

ENV UV_PROJECT_ENVIRONMENT=/opt/hounsfield UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --root-user-action=ignore uv==0.13.9
WORKDIR /source
# What the project depends on changes seldom: a layer of its own, in the versions of the lock file.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-cache --no-default-groups --no-install-project
COPY LICENSE README.md ./
COPY src src
# Builds a wheel of the project and installs that.
RUN uv sync --frozen --no-cache --no-default-groups --no-editable


FROM python:3.13-slim-trixie

LABEL org.opencontainers.image.title="Hounsfield" \
      org.opencontainers.image.description="A self-hosted medical image store: AWS HealthImaging API and DICOMweb" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 hounsfield \
 && useradd --uid 10001 --gid hounsfield --no-create-home --home-dir /data --shell /usr/sbin/nologin hounsfield \
 && install --directory --owner hounsfield --group hounsfield --mode 0700 /data
COPY --from=build /opt/hounsfield /opt/hounsfield
ENV PATH=/opt/hounsfield/bin:$PATH \
    HOUNSFIELD_DATA=/data
# Numbers, so that Kubernetes sees that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["hounsfield"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]

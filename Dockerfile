# The service with a PostgreSQL beside it: with OFFSHOOT_DATABASE_URL it uses a server elsewhere, without it
# runs one of its own in /data.
#
#   docker build -t offshoot .
#   docker build -t offshoot --build-arg PREBUILT=target/release/offshoot .     without compiling
#
# Plain Dockerfile syntax: the classic builder works too, and with both base images at hand nothing is pulled.

ARG RUNTIME_IMAGE=postgres:18-bookworm
ARG RUST_IMAGE=rust:1.95-bookworm

# Debian with PostgreSQL 18, whose pg_dump and server the service calls. Nothing of that image's own start is used.
FROM ${RUNTIME_IMAGE} AS runtime
USER root
RUN test -s /etc/ssl/certs/ca-certificates.crt \
    || (apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*)
# Written by hand, because not every base has useradd.
RUN echo 'offshoot:x:10001:10001::/data:/bin/sh' >>/etc/passwd \
    && echo 'offshoot:x:10001:' >>/etc/group \
    && mkdir -p /data && chown 10001:10001 /data && chmod 700 /data
ENV OFFSHOOT_DATA_DIR=/data \
    OFFSHOOT_LISTEN=0.0.0.0:8080 \
    OFFSHOOT_POSTGRES_BIN=/usr/lib/postgresql/18/bin
VOLUME /data
WORKDIR /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["offshoot", "health"]
ENTRYPOINT ["offshoot"]
CMD ["serve"]

FROM ${RUST_IMAGE} AS build
# A binary in the build context, instead of compiling one. Any base with a shell will then do as RUST_IMAGE.
ARG PREBUILT=
USER root
WORKDIR /src
COPY . .
RUN if [ -n "${PREBUILT}" ]; then cp "${PREBUILT}" /offshoot; \
    else cargo build --locked --release --package offshoot && cp target/release/offshoot /offshoot; fi

FROM runtime
COPY --from=build /offshoot /usr/local/bin/offshoot
# A platform that mounts /data as root's (Fly does) says RUN_AS=root: the service then runs PostgreSQL as another user.
ARG RUN_AS=offshoot
USER ${RUN_AS}

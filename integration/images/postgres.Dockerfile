# The stand-in for the official PostgreSQL image; scripts/setup.d/images.sh makes rootfs.tar.
FROM scratch
ADD rootfs.tar /
ARG MAJOR
ENV PATH=/usr/lib/postgresql/${MAJOR}/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8
EXPOSE 5432
# SIGINT ends sessions and writes a checkpoint; SIGTERM would wait for the sessions to end by themselves.
STOPSIGNAL SIGINT
USER 999
ENTRYPOINT ["/entry.sh"]

# The HTTP server with its networks in one program; compose.yaml runs two of them behind a proxy.
#
#   docker build -t liveness-server .
#   docker run --rm -p 127.0.0.1:8080:8080 --read-only --cap-drop ALL -e LIVENESS_API_KEYS=choose-a-long-key liveness-server
#
# Without LIVENESS_API_KEYS the server makes a key and prints it.

FROM rust:1.94-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package liveness-server \
    && install -D target/release/liveness-server /out/liveness-server

FROM debian:bookworm-slim
RUN groupadd --gid 10001 liveness \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin liveness
COPY --from=build /out/liveness-server /usr/local/bin/liveness-server
COPY --from=build /src/LICENSE-MIT /usr/share/doc/liveness-server/LICENSE-MIT
COPY --from=build /src/LICENSE-APACHE /usr/share/doc/liveness-server/LICENSE-APACHE
COPY --from=build /src/LICENSE-THIRD-PARTY /usr/share/doc/liveness-server/LICENSE-THIRD-PARTY
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
ENV LIVENESS_ADDRESS=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# The image has no curl; bash speaks enough HTTP to ask whether the networks are loaded. It speaks no TLS: where the
# server itself does (LIVENESS_TLS_CERT), run the image with --no-healthcheck or a check of your own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${LIVENESS_ADDRESS##*:} && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["liveness-server"]

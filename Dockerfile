FROM golang:1.26-bookworm AS build
WORKDIR /src
# The base image may be some patch releases older than go.mod asks for.
ENV GOTOOLCHAIN=auto
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=container
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/cache/go-build \
    GOCACHE=/cache/go-build CGO_CFLAGS="-O2 -g -DSQLITE_ENABLE_QPSG" CGO_ENABLED=1 go build -trimpath -tags "sqlite_omit_load_extension osusergo netgo nomsgpack" \
    -ldflags "-s -w -X main.version=${VERSION} -linkmode external -extldflags=-static" \
    -o /out/app ./cmd/whatsappd \
 && mkdir -m 0700 /out/data

# CA roots and nothing that could be run but the program. Time zones are in the binary.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/app /app
COPY LICENSE NOTICE /
# A new named volume takes over owner and mode of this directory.
COPY --from=build --chown=65532:65532 /out/data /data
ENV WHATSAPPD_LISTEN=0.0.0.0:8080 \
    WHATSAPPD_DATA_DIR=/data
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/app","healthcheck"]
ENTRYPOINT ["/app"]
CMD ["serve"]

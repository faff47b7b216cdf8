# The image of the operator and of the pooler pods: docker build -t ghcr.io/weir-dev/weir:dev .
FROM golang:1.26 AS build
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY pooler pooler
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/operator ./cmd/pooler

FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/operator /out/pooler /
USER 65532:65532
ENTRYPOINT ["/operator"]

FROM node:24-slim AS builder
WORKDIR /app
# The library of `vfio-host run`, for programs of any image with glibc 2.34 or newer.
RUN apt-get update \
  && apt-get install -y --no-install-recommends gcc libc6-dev \
  && rm -rf /var/lib/apt/lists/*
COPY preload ./preload
RUN cc -O2 -Wall -shared -fPIC -fvisibility=hidden -pthread -o preload/libvfio-host.so preload/*.c preload/hooks/*.c -ldl \
  && cc -O2 -Wall -shared -fPIC -fvisibility=hidden -pthread -o preload/record/libvfio-host-record.so preload/record/*.c preload/hooks/*.c -ldl
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json rolldown.config.js ./
COPY src ./src
COPY routes ./routes
COPY schemas ./schemas
COPY docs ./docs
RUN npm run build && npm prune --omit=dev
# npx would link and chmod what package.json names, which the image's user may not: it finds this one instead.
RUN npm pkg delete bin \
  && mkdir -p node_modules/.bin \
  && ln -s ../../dist/src/main.js node_modules/.bin/vfio-host

FROM node:24-slim
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="vfio-host" \
      org.opencontainers.image.description="An HTTP microservice that emulates a Linux VFIO host" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8080
WORKDIR /app
COPY --from=builder /app/node_modules ./node_modules
COPY --from=builder /app/dist ./dist
COPY --from=builder /app/preload/libvfio-host.so ./preload/
COPY --from=builder /app/preload/record/libvfio-host-record.so ./preload/record/
COPY --from=builder /app/package.json ./
COPY ui ./ui
COPY docs ./docs
COPY docker/entrypoint.sh /usr/local/bin/vfio-host-entrypoint
RUN ln -s /app/dist/src/main.js /usr/local/bin/vfio-host
COPY LICENSE openapi.json ./
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8080) + '/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["vfio-host-entrypoint"]
CMD ["vfio-host"]

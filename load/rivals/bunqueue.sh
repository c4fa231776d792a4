# bunqueue's server with SQLite: jobs come by HTTP, workers use its own client by TCP.

system=bunqueue
dialect=bunqueue
counts_path=/queues/load/counts
source load/rivals/http.sh
source load/rivals/js.sh
title='bunqueue, `durable` jobs'
durable='written to the SQLite log, no fsync for each commit'
workers='1 Bun process, concurrency 64'
start_seen='its worker with `pollTimeout`, so that it waits at the server'

install() {
  [[ -x $rivals/bunqueue/node_modules/.bin/bun && -d $rivals/bunqueue/node_modules/bunqueue ]] ||
    npm_install bunqueue bunqueue@^2.9 bun
  runtime=$rivals/bunqueue/node_modules/.bin/bun
}

version() {
  printf '%s, Bun %s' "$(npm_version bunqueue bunqueue)" "$("$runtime" --version)"
}

start() {
  if [[ ! ${http_port:-} ]]; then
    free_port
    http_port=$port
    free_port
    client_port=$port
  fi
  # Its limit of 10,000 requests a minute for each address would be all that is seen.
  RATE_LIMIT_MAX_REQUESTS=1000000000 RATE_LIMIT_WINDOW_MS=1 launch server \
    "$runtime" "$rivals/bunqueue/node_modules/.bin/bunqueue" start --host 127.0.0.1 --http-port "$http_port" \
    --tcp-port "$client_port" --data-path "$data/queue.db"
  wait_for_reply "${servers[server]}" "$http_port" "$counts_path"
}

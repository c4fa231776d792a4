# bunqueue's server with SQLite: jobs come by HTTP, workers use its own client by TCP.

source load/rivals/http.sh
dialect=bunqueue
counts_path=/queues/load/counts
title='bunqueue, `durable` jobs'
durable='written to the SQLite log, no fsync for each commit'
workers='1 Bun process, concurrency 64'
start_seen='its worker with `pollTimeout`, so that it waits at the server'

install() {
  [[ -x $rivals/bunqueue/node_modules/.bin/bun && -d $rivals/bunqueue/node_modules/bunqueue ]] ||
    npm_install bunqueue bunqueue@^2.9 bun
  bun=$rivals/bunqueue/node_modules/.bin/bun
}

version() {
  printf '%s, Bun %s' "$(npm_version bunqueue bunqueue)" "$("$bun" --version)"
}

start() {
  if [[ ! ${http_port:-} ]]; then
    free_port
    http_port=$port
    free_port
    tcp_port=$port
  fi
  # Its limit of 10,000 requests a minute for each address would be all that is seen.
  RATE_LIMIT_MAX_REQUESTS=1000000000 RATE_LIMIT_WINDOW_MS=1 launch server \
    "$bun" "$rivals/bunqueue/node_modules/.bin/bunqueue" start --host 127.0.0.1 --http-port "$http_port" \
    --tcp-port "$tcp_port" --data-path "$data/queue.db"
  wait_for_reply "${servers[server]}" "$http_port" "$counts_path"
}

client() {
  SYSTEM=bunqueue SYSTEM_HOME=$rivals/bunqueue PORT=$tcp_port STARTS=$work/starts \
    timeout "$client_limit" "$bun" load/rivals/js_client.mjs "$@"
}

begin_work() {
  begin_workers
  SYSTEM=bunqueue SYSTEM_HOME=$rivals/bunqueue PORT=$tcp_port \
    launch producer "$bun" "$here/load/rivals/js_client.mjs" feed "$connections"
}

begin_workers() {
  SYSTEM=bunqueue SYSTEM_HOME=$rivals/bunqueue PORT=$tcp_port STARTS=$work/starts \
    launch worker "$bun" "$here/load/rivals/js_client.mjs" work 64
}

end_work() {
  finish_server producer
  finish_server worker
}

latency() {
  client latency "$1" && cat "$work/starts"
}

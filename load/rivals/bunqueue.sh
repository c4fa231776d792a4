# bunqueue's server with SQLite: jobs come by HTTP, workers use its own client by TCP.

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
  wait_for_reply "${servers[server]}" "$http_port" /queues/load/counts
}

client() {
  SYSTEM=bunqueue SYSTEM_HOME=$rivals/bunqueue PORT=$tcp_port STARTS=$work/starts \
    timeout "$client_limit" "$bun" load/rivals/js_client.mjs "$@"
}

enqueue() {
  DIALECT=bunqueue MODE=push load "$http_port" "$connections" "$1" load/rivals/http.lua
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

count() {
  local reply
  reply=$(curl -gsS --max-time 60 "http://127.0.0.1:$http_port/queues/load/counts")
  number waiting '"waiting":([0-9]+)' "$reply"
  number finished '"completed":([0-9]+)' "$reply"
  backlog=$waiting
}

latency() {
  client latency "$1" && cat "$work/starts"
}

fill() {
  DIALECT=bunqueue MODE=fill BATCH=1000 start_load "$http_port" 2 "$2" load/rivals/http.lua
  stop_when_full "$1"
}

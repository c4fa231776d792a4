# Ocypod, an HTTP server in front of Redis.

source load/rivals/redis.sh
title=Ocypod
durable="fsync (Redis, \`appendfsync $fsync\`)"
workers='64 HTTP clients'
start_seen='a worker that asks each ms'

install() {
  install_redis
  [[ -x $rivals/ocypod/bin/ocypod-server ]] || cargo_install ocypod ocypod '^0.8'
}

version() {
  printf '0.8, %s' "$(redis_version)"
}

start() {
  start_redis
  if [[ ! -f $data/ocypod.toml ]]; then
    free_port
    http_port=$port
    cat >"$data/ocypod.toml" <<EOF
[server]
host = "127.0.0.1"
port = $http_port
log_level = "warn"
[redis]
url = "redis://127.0.0.1:$redis_port"
[queue.load]
timeout = "1h"
expires_after = "1h"
EOF
  fi
  launch server "$rivals/ocypod/bin/ocypod-server" ocypod.toml
  wait_for_reply "${servers[server]}" "$http_port" /queue/load/size
}

enqueue() {
  DIALECT=ocypod MODE=push load "$http_port" "$connections" "$1" load/rivals/http.lua
}

begin_work() {
  DIALECT=ocypod MODE=cycle start_load "$http_port" "$connections" "$1" load/rivals/http.lua
}

end_work() {
  finish_load
}

# Its size of a queue is of the waiting jobs alone, so Redis is asked for those that are done.
count() {
  waiting=$(curl -gsS --max-time 60 "http://127.0.0.1:$http_port/queue/load/size") backlog=$waiting
  finished=$(redis GET stats:jobs:num_completed)
  finished=${finished:-0}
}

latency() {
  timeout "$client_limit" python3 load/rivals/http_latency.py ocypod "$http_port" "$1"
}

# It takes one job a request.
fill() {
  quick_redis
  DIALECT=ocypod MODE=push start_load "$http_port" "$connections" "$2" load/rivals/http.lua
  stop_when_full "$1"
  safe_redis
}

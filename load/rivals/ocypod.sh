# Ocypod, an HTTP server in front of Redis.

source load/rivals/http.sh
source load/rivals/redis.sh
dialect=ocypod
counts_path=/queue/load/size
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
  wait_for_reply "${servers[server]}" "$http_port" "$counts_path"
}

# Its size of a queue is of the waiting jobs alone, so Redis is asked for those that are done.
count() {
  waiting=$(ask_counts) backlog=$waiting
  finished=$(redis GET stats:jobs:num_completed)
  finished=${finished:-0}
}

# It takes one job a request.
fill() {
  quick_redis
  by_http start_load push "$connections" "$2"
  stop_when_full "$1"
  safe_redis
}

# RustQueue's server by HTTP. Its embedded storage is redb; `fsync` is its setting storage.durability.

source load/rivals/http.sh
dialect=rustqueue
counts_path=/api/v1/queues/load/stats
fsync=batched
title='RustQueue, batched (its default)'
durable='fsync for groups of 10 ms or 100 jobs'
workers='64 HTTP clients, 16 jobs a pull'
start_seen='a worker that asks each ms'

install() {
  [[ -x $rivals/rustqueue/bin/rustqueue ]] || cargo_install rustqueue rustqueue '^0.3'
}

version() {
  printf '%s' "$("$rivals/rustqueue/bin/rustqueue" --version | cut -d ' ' -f 2)"
}

start() {
  if [[ ! -f $data/rustqueue.toml ]]; then
    free_port
    http_port=$port
    free_port
    cat >"$data/rustqueue.toml" <<EOF
[server]
host = "127.0.0.1"
http_port = $http_port
tcp_port = $port
[storage]
path = "$data/store"
durability = "$fsync"
[logging]
level = "warn"
EOF
  fi
  launch server "$rivals/rustqueue/bin/rustqueue" serve --config rustqueue.toml
  wait_for_reply "${servers[server]}" "$http_port" "$counts_path"
}

# BullMQ on Redis, in Node.

source load/rivals/redis.sh
title=BullMQ
durable="fsync (Redis, \`appendfsync $fsync\`)"
workers='1 Node process, concurrency 64'
start_seen='its worker, which waits at Redis'

install() {
  install_redis
  command -v node >/dev/null || die "node is missing: install it (Debian: apt-get install nodejs npm)"
  [[ -d $rivals/bullmq/node_modules/bullmq && -d $rivals/bullmq/node_modules/ioredis ]] ||
    npm_install bullmq bullmq@^6 ioredis
}

version() {
  printf '%s, Node %s, %s' "$(npm_version bullmq bullmq)" "$(node --version)" "$(redis_version)"
}

start() {
  start_redis
}

client() {
  SYSTEM=bullmq SYSTEM_HOME=$rivals/bullmq PORT=$redis_port STARTS=$work/starts timeout "$client_limit" node load/rivals/js_client.mjs "$@"
}

# Two producers, half the clients each.
enqueue() {
  in_two client enqueue "$1" $((connections / 2))
}

begin_work() {
  begin_workers
  SYSTEM=bullmq SYSTEM_HOME=$rivals/bullmq PORT=$redis_port \
    launch producer node "$here/load/rivals/js_client.mjs" feed "$connections"
}

begin_workers() {
  SYSTEM=bullmq SYSTEM_HOME=$rivals/bullmq PORT=$redis_port STARTS=$work/starts \
    launch worker node "$here/load/rivals/js_client.mjs" work 64
}

end_work() {
  finish_server producer
  finish_server worker
}

count() {
  waiting=$(redis LLEN bull:load:wait) backlog=$waiting
  finished=$(redis ZCARD bull:load:completed)
}

latency() {
  client latency "$1" && cat "$work/starts"
}

fill() {
  quick_redis
  client fill "$1" "$2" >&2
  safe_redis
}

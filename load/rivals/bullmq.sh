# BullMQ on Redis, in Node.

system=bullmq
source load/rivals/redis.sh
source load/rivals/js.sh
title=BullMQ
durable="fsync (Redis, \`appendfsync $fsync\`)"
workers='1 Node process, concurrency 64'
start_seen='its worker, which waits at Redis'
runtime=node

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
  client_port=$redis_port
}

# Two producers, half the clients each.
enqueue() {
  in_two client enqueue "$1" $((connections / 2))
}

count() {
  waiting=$(redis LLEN bull:load:wait) backlog=$waiting
  finished=$(redis ZCARD bull:load:completed)
}

fill() {
  quick_redis
  client fill "$1" "$2" >&2
  safe_redis
}

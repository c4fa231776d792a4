# The Redis of those rivals that need one: its own, on a free port, with its data below $data. To be sourced.

install_redis() {
  redis_server=$(command -v redis-server || true)
  [[ ! $redis_server ]] || return 0
  if [[ ! -x /usr/bin/redis-check-rdb ]]; then
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
      die "redis-server is missing: install it (Debian: apt-get install redis-server)"
    fi
    # Not the package redis-server, which starts a server on the port that everybody knows: this one has the same
    # program, which goes by the name it is called by.
    apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 redis-tools >&2
  fi
  redis_server=$rivals/redis-server
  ln -sfn /usr/bin/redis-check-rdb "$redis_server"
}

redis_version() {
  local text
  text=$("$redis_server" --version)
  [[ $text =~ v=([0-9.]+) ]] && printf 'Redis %s' "${BASH_REMATCH[1]}"
}

# start_redis: with an append-only file and no snapshots, which would only slow it.
start_redis() {
  if [[ ! ${redis_port:-} ]]; then
    free_port
    redis_port=$port
  fi
  mkdir -p "$data/redis"
  launch Redis "$redis_server" --port "$redis_port" --bind 127.0.0.1 --dir "$data/redis" --save '' \
    --appendonly yes --appendfsync "$fsync" --daemonize no
  # Until it has loaded its data, the reply is an error.
  wait_for_line "${servers[Redis]}" "$redis_port" $'EXISTS any\r\n' ':*' Redis
}

redis() {
  timeout 60 redis-cli -h 127.0.0.1 -p "$redis_port" "$@"
}

# quick_redis, safe_redis: filling is not what is measured, so it does without fsync, and ends with one.
quick_redis() {
  redis CONFIG SET appendfsync no >/dev/null
}

safe_redis() {
  local try
  redis CONFIG SET appendfsync "$fsync" >/dev/null
  # The file is rewritten by a second process when it has grown: its memory is not what is asked for.
  for ((try = 0; try < 600; try++)); do
    [[ $(redis INFO persistence) == *aof_rewrite_in_progress:1* ]] || return 0
    nap 0.1
  done
}

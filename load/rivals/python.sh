# What RQ and Celery share: Redis, and one Python environment. To be sourced.

source load/rivals/redis.sh
durable="fsync (Redis, \`appendfsync $fsync\`)"
python=$rivals/python/venv/bin/python

install() {
  install_redis
  if ! "$python" -c 'import rq, celery, redis' 2>/dev/null; then
    command -v python3 >/dev/null || die "python3 is missing"
    mkdir -p "$rivals/python"
    python3 -m venv "$rivals/python/venv" >&2 ||
      die "python3 can't make an environment (Debian: apt-get install python3-venv)"
    "$python" -m pip install -q 'rq>=3,<4' 'celery[redis]>=5.7,<6' >&2
  fi
}

version() {
  printf '%s, Python %s, %s' "$("$python" -c "import importlib.metadata as m; print(m.version('$system'))")" \
    "$("$python" -c 'import platform; print(platform.python_version())')" "$(redis_version)"
}

start() {
  start_redis
  # Workers import a copy, whose compiled form is kept beside it: each job's process of RQ reads it anew.
  mkdir -p "$work/python"
  cp load/rivals/python_client.py "$work/python/"
  export SYSTEM=$system REDIS_PORT=$redis_port STARTS=$work/starts PYTHONPATH=$work/python
}

client() {
  timeout "$client_limit" "$python" "$work/python/python_client.py" "$@"
}

# Two producers, half the clients each.
enqueue() {
  in_two client enqueue "$1" $((connections / 2))
}

begin_work() {
  begin_workers
  launch producer "$python" "$work/python/python_client.py" feed 16
}

end_work() {
  finish_server producer
  finish_server workers
}

latency() {
  client latency "$1" && cat "$work/starts"
}

fill() {
  quick_redis
  in_two client fill $(($1 / 2)) "$2" >&2
  safe_redis
}

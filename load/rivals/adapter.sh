# What the adapters of load/compare have and what they use. To be sourced after load/lib.sh.
#
# An adapter, load/rivals/NAME.sh, sets `title`, `durable` (what holds when a job is acknowledged), `workers` and `start_seen`, and
# has the functions
#   install            puts the system below $rivals, or dies with what is missing
#   version            prints it
#   start              starts its servers with their data below $data, by `launch`, and returns when the queue answers
#   prepare            optional: done once after the first start
#   enqueue SECONDS    single jobs from 64 clients at once; sets rps
#   begin_work SECONDS, end_work   producers and workers
#   begin_workers      optional: workers alone
#   count              sets waiting, backlog (of what begin_work submits) and finished
#   latency COUNT      one job at a time; prints microseconds from submission to start
#   fill COUNT SECONDS submits so many, or as many as that time allows
# and may use what follows, with `fsync` (always or everysec, for Redis), `data` (its directory), `work` (for small files), `rivals`,
# `here` (the repository), `connections` and `client_limit` (seconds that a client may take).

# Any message also goes into the row of the rival.
die() {
  printf '%s: %s\n' "$program" "$*" >&2
  printf '%s' "$*" >"$work/why"
  exit 1
}

declare -A servers=()

# launch NAME COMMAND...: in $data and in a session of its own, so that what it starts can be ended with it.
launch() {
  local name=$1
  shift
  (cd "$data" && exec setsid "$@") >>"$log" 2>&1 &
  servers[$name]=$!
  pids+=($!)
}

# finish_server NAME: asks it to end, and kills what is left of it after 15 seconds.
finish_server() {
  local pid=${servers[$1]} try
  kill -TERM "$pid" 2>/dev/null || true
  for ((try = 0; try < 150; try++)); do
    kill -0 "$pid" 2>/dev/null || break
    nap 0.1
  done
  kill_server "$1"
}

kill_server() {
  local pid=${servers[$1]}
  kill -KILL -- "-$pid" 2>/dev/null || true
  end "$pid" KILL
  unset "servers[$1]"
}

kill_servers() {
  local name
  for name in "${!servers[@]}"; do kill_server "$name"; done
}

# memory NAME: megabytes of all its processes.
memory() {
  local pid sum=0
  for pid in $(pgrep -g "${servers[$1]}"); do
    # It may have ended meanwhile.
    [[ -r /proc/$pid/status && $(<"/proc/$pid/status") =~ VmRSS:[[:space:]]+([0-9]+) ]] || continue
    sum=$((sum + BASH_REMATCH[1]))
  done
  printf '%s' $((sum / 1024))
}

# number NAME PATTERN TEXT: sets that variable.
number() {
  [[ $3 =~ $2 ]] || die "no $1 in a reply: ${3:0:200}"
  printf -v "$1" '%s' "${BASH_REMATCH[1]}"
}

# in_two COMMAND...: two at once; rps becomes the sum of what they print as RPS.
in_two() {
  local first second
  "$@" >"$work/first" &
  first=$!
  "$@" >"$work/second" &
  second=$!
  wait "$first" || die "a client failed: $*"
  wait "$second" || die "a client failed: $*"
  rps=$(awk '$1 == "RPS" { sum += $2 } END { print sum + 0 }' "$work/first" "$work/second")
}

# stop_when_full COUNT: ends wrk when so many jobs wait, or when its time is over.
stop_when_full() {
  while kill -0 "$wrk_pid" 2>/dev/null; do
    count
    ((waiting < $1)) || break
    nap 0.3
  done
  kill -INT "$wrk_pid" 2>/dev/null || true
  finish_load
}

# cargo_install NAME CRATE VERSION: not --locked, with which Ocypod no longer compiles.
cargo_install() {
  command -v cargo >/dev/null || die "cargo is missing"
  note "installing $2 (some minutes)"
  CARGO_TARGET_DIR=$rivals/build cargo install "$2" --version "$3" -j1 --root "$rivals/$1" >&2 || die "cargo can't install $2"
}

# npm_install NAME PACKAGE...
npm_install() {
  local name=$1
  shift
  command -v npm >/dev/null || die "npm is missing: install it (Debian: apt-get install npm)"
  note "installing $*"
  mkdir -p "$rivals/$name"
  npm install --no-fund --no-audit --prefix "$rivals/$name" "$@" >&2 || die "npm can't install $*"
}

# npm_version NAME PACKAGE
npm_version() {
  sed -n 's/^ *"version": "\(.*\)".*/\1/p' "$rivals/$1/node_modules/$2/package.json" | head -n 1
}

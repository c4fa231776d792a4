# shellcheck shell=bash disable=SC2034,SC2154
# What the programs in load/ share: their processes, requests to the server, and runs of wrk. Sourced by
# load/run, load/growth, load/steer, load/many, load/admin, load/beside and load/postgres, which set before: seconds, connections, durability, and server and
# ceiling (empty, or a program); and by load/compare, which has its own servers and needs only connections.

die() {
  printf 'load/%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

note() {
  printf '  %s\n' "$*" >&2
}

# open_workplace NAME: checks the tools and makes the directories base, which keeps the logs, and work, which goes at the end.
open_workplace() {
  if ! command -v wrk >/dev/null; then
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
      die "wrk is missing: install it (Debian: apt-get install wrk)"
    fi
    apt-get install -y wrk >&2
  fi
  command -v curl >/dev/null || die "curl is missing"

  cores=$(nproc)
  threads=$((cores < connections ? cores : connections))
  base=${LOAD_DIR:-target/load}
  mkdir -p "$base"
  base=$(cd "$base" && pwd)
  work=$(mktemp -d "$base/$1.XXXXXX")
  trap cleanup EXIT
  trap 'exit 130' INT TERM

  # For `nap`: a descriptor that never has anything to read.
  mkfifo "$work/nothing"
  exec {nothing}<>"$work/nothing"
}

# ---- Processes: only those started here are ever ended

pids=()

# forget PID: it has ended and its number may be another's.
forget() {
  local other left=()
  for other in "${pids[@]}"; do
    [[ $other == "$1" ]] || left+=("$other")
  done
  pids=("${left[@]}")
}

# end PID SIGNAL
end() {
  kill "-$2" "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
  forget "$1"
}

cleanup() {
  local pid
  for pid in "${pids[@]}"; do end "$pid" KILL; done
  rm -rf "$work"
}

# nap SECONDS: waits without starting a process.
nap() {
  read -r -t "$1" -u "$nothing" || true
}

now_us() {
  printf -v "$1" '%s' "${EPOCHREALTIME/./}"
}

free_port() {
  local try
  for ((try = 0; try < 200; try++)); do
    # Below the range from which the kernel takes the ports of clients.
    port=$((20000 + RANDOM % 10000))
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
  done
  die "no free port between 20000 and 29999"
}

# How long wait_for_line waits, in seconds.
patience=60

# wait_for_line PID PORT REQUEST PATTERN [NAME]: until that process, NAME in messages, answers to REQUEST with a first line
# of that pattern. Starts no process.
wait_for_line() {
  local pid=$1 port=$2 request=$3 pattern=$4 server_name=${5:-} line socket began now
  now_us began
  while :; do
    if { exec {socket}<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; then
      line=''
      printf '%s' "$request" >&"$socket" || true
      read -r -t 10 line <&"$socket" || true
      exec {socket}>&-
      # shellcheck disable=SC2053 # a pattern
      [[ $line == $pattern ]] && return
    fi
    now_us now
    kill -0 "$pid" 2>/dev/null || die "${server_name:-a server} ended at once; see the logs in $base"
    ((now - began < patience * 1000000)) || die "no answer from ${server_name:-port $port} in $patience s; see the logs in $base"
    nap 0.001
  done
}

# wait_for_reply PID PORT PATH: until that process answers with HTTP status 200.
wait_for_reply() {
  wait_for_line "$1" "$2" "GET $3 HTTP/1.1"$'\r\nHost: localhost\r\nConnection: close\r\n\r\n' 'HTTP/1.1 200*'
}

start_ceiling() {
  free_port
  ceiling_port=$port
  "$ceiling" --port "$ceiling_port" >"$base/ceiling.log" 2>&1 &
  pids+=($!)
  wait_for_reply $! "$ceiling_port" /
}

# The scheme of the server, and more lines for its configuration: of [Server] and [Actions], and sections.
scheme=http server_lines='' actions_lines='' sections=''

# new_server NAME QUEUE:THREADS[:TYPE]...: a server with an empty data directory and these queues, with Type=Echo if none is given.
new_server() {
  local number=0 queue name slots type
  data=$work/$1
  log=$base/$1.log
  shift
  first_queue=${1%%:*}
  mkdir "$data"
  : >"$log"
  free_port
  server_port=$port
  {
    cat <<EOF
[Server]
Port=$server_port
BindAddress=127.0.0.1
$server_lines
[Paths]
DataDirectory=$data/actions
[Actions]
MaxFinishedSize=-1
Durability=$durability
$actions_lines
[AsyncActions]
Number=$#
EOF
    for queue; do printf '%d=%s\n' $((number++)) "${queue%%:*}"; done
    for queue; do
      IFS=: read -r name slots type <<<"$queue"
      printf '[%s]\nType=%s\nMaximumThreads=%s\n' "$name" "${type:-Echo}" "$slots"
    done
    printf '%s\n' "$sections"
  } >"$data/actiond.cfg"
  start_server
}

start_server() {
  (cd "$data" && exec "$server" --config actiond.cfg) >>"$log" 2>&1 &
  server_pid=$!
  pids+=("$server_pid")
  # A port with TLS answers to plain HTTP as well, with an error.
  wait_for_line "$server_pid" "$server_port" \
    "GET /action=QueueInfo&QueueName=$first_queue&QueueAction=queueStatus HTTP/1.1"$'\r\nHost: localhost\r\nConnection: close\r\n\r\n' \
    'HTTP/1.1 [24]00*'
}

remove_server() {
  end "$server_pid" KILL
  rm -rf "$data"
}

# ---- ACI

# aci PARAMETERS: the reply, which must be a success.
aci() {
  local reply
  reply=$(curl -gsSk --max-time 60 ${KEY:+-H "Authorization: Bearer $KEY"} "$scheme://127.0.0.1:$server_port/$1") || die "no reply to $1"
  [[ $reply == *'<response>SUCCESS</response>'* ]] || die "reply to $1: ${reply:0:300}"
  printf '%s' "$reply"
}

pause() {
  aci "action=QueueInfo&QueueName=$1&QueueAction=pause" >/dev/null
}

pending=0 running=0 finished=0

# queue QUEUE: sets pending, running and finished.
queue() {
  local reply name
  reply=$(aci "action=QueueInfo&QueueName=$1&QueueAction=queueStatus")
  for name in pending running finished; do
    [[ $reply =~ \<$name\>([0-9]+)\</$name\> ]] || die "no <$name> in the queue status: ${reply:0:300}"
    printf -v "$name" '%s' "${BASH_REMATCH[1]}"
  done
}

# wait_idle QUEUE: until nothing is queued or runs there.
wait_idle() {
  local began now
  now_us began
  while :; do
    queue "$1"
    ((pending + running)) || return 0
    now_us now
    ((now - began < 600000000)) || die "queue $1 still has $pending queued and $running running actions after 600 s"
    nap 0.1
  done
}

# ---- Load

failed=0
requests=0 rps=0 p50_us=0 p99_us=0 errors=0 bad=0

# start_load PORT CONNECTIONS SECONDS SCRIPT: starts wrk with the settings of the environment. SCRIPT is the name of a
# file of load/wrk, or a path.
start_load() {
  local used=$((threads < $2 ? threads : $2)) script=$4 spoken=http
  [[ $1 != "${server_port:-}" ]] || spoken=$scheme
  [[ $script == */* ]] || script=load/wrk/$script.lua
  wrk_args=(-t "$used" -c "$2" -d "${3}s" --timeout 30s --latency -s "$script" "$spoken://127.0.0.1:$1/")
  THREADS=$used wrk "${wrk_args[@]}" >"$work/wrk.out" &
  wrk_pid=$!
  pids+=("$wrk_pid")
}

# finish_load: waits for wrk and takes its figures.
finish_load() {
  wait "$wrk_pid" || die "wrk failed: $(<"$work/wrk.out")"
  forget "$wrk_pid"
  figures "$(<"$work/wrk.out")"
}

# figures TEXT: sets requests, rps, p50_us, p99_us, errors and bad from what a script printed.
figures() {
  local line name
  line=$(grep '^RESULT ' <<<"$1") || die "no figures from wrk: $1"
  for name in requests rps p50_us p99_us errors bad; do
    [[ $line =~ \ $name=(-?[0-9]+) ]] || die "no $name in: $line"
    printf -v "$name" '%s' "${BASH_REMATCH[1]}"
  done
  if ((errors || bad)); then
    failed=1
    note "WRONG REPLIES: $errors of HTTP or sockets, $bad of ACI: wrk ${wrk_args[*]}"
  fi
}

load() {
  start_load "$@"
  finish_load
}

# submit COUNT QUEUE BYTES [TOKENS]: submits that many (a few more) and checks each reply.
submit() {
  local sample=$(($1 > 20000 ? $1 / 20000 : 1)) began now
  QUEUE=$2 BYTES=$3 COUNT=$1 CHECK='<token>' TOKENS_OUT=${4:-} SAMPLE=$sample \
    start_load "$server_port" "$connections" 3600 submit
  # The threads of wrk end at their count, but wrk itself sleeps until its time is over or it is interrupted.
  now_us began
  while :; do
    queue "$2"
    ((pending + running + finished < $1)) || break
    kill -0 "$wrk_pid" 2>/dev/null || break
    now_us now
    ((now - began < 3600000000)) || die "$1 submissions take more than an hour"
    nap 0.1
  done
  kill -INT "$wrk_pid" 2>/dev/null || true
  finish_load
}

# mix_tokens FILE: makes one file of those that the threads of wrk wrote, whose tokens are of all ages.
mix_tokens() {
  cat "$1".* | sort -R >"$1"
}

median() {
  printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

hundredths() {
  printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

ms() {
  printf '%d.%02d ms' $(($1 / 1000)) $(($1 % 1000 / 10))
}

# sync_us: the median of 200 fdatasync of 4 kB each on the disk that is measured.
sync_us() {
  python3 - "$work/sync" <<'EOF'
import os, sys, time
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
times = []
for _ in range(200):
    os.write(file, b"x" * 4096)
    began = time.monotonic_ns()
    os.fdatasync(file)
    times.append(time.monotonic_ns() - began)
os.unlink(sys.argv[1])
print(sorted(times)[100] // 1000)
EOF
}

# cores_of PID: for how long the threads of each name have used a core, in nanoseconds: name, tab, number.
cores_of() {
  paste <(cat /proc/"$1"/task/*/comm) <(cut -d ' ' -f 1 /proc/"$1"/task/*/schedstat) | awk -F '\t' '
    { sub(/^actiond-/, "", $1); sub(/^actix-rt.*/, "HTTP workers", $1); used[$1] += $2 }
    END { for (name in used) printf "%s\t%.0f\n", name, used[name] }
  '
}

# cpu_ns: how long the server has used a core, in nanoseconds.
cpu_ns() {
  cores_of "$server_pid" | awk -F '\t' '{ n += $2 } END { printf "%.0f", n }'
}

resident() {
  [[ $(<"/proc/$1/status") =~ VmRSS:[[:space:]]+([0-9]+) ]] || die "no VmRSS of process $1"
  printf '%s' $((BASH_REMATCH[1] / 1024))
}

# build: sets server and ceiling to programs, unless options have done so.
build() {
  if [[ ! $server ]]; then
    note "building actiond"
    cargo build --release --bin actiond >&2
    server=${CARGO_TARGET_DIR:-target}/release/actiond
  fi
  if [[ ! $ceiling ]]; then
    note "building the ceiling"
    cargo build --release -p actiond-ceiling >&2
    ceiling=${CARGO_TARGET_DIR:-target}/release/actiond-ceiling
  fi
  server=$(realpath "$server") ceiling=$(realpath "$ceiling")
}

# The commit that is measured, and whether there are changes to it that could matter.
commit_name() {
  local commit
  commit=$(git rev-parse --short HEAD 2>/dev/null || printf 'none')
  [[ -z $(git status --porcelain -- . ':!docs' 2>/dev/null | head -n 1) ]] || commit+=' with changes'
  printf '%s' "$commit"
}

# The kind of file system that holds the data.
file_system() {
  findmnt -n -o FSTYPE -T "$base" 2>/dev/null || stat -f -c %T "$base"
}

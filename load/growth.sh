# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# How load/growth measures: its data files, the queues under load, single runs, and medians of runs. Sourced by
# load/growth, which sets before: seconds, runs, connections, out; and made, the line on how the data was made.

# ---- Data files: a line on how they were made, a line of names, then values with tabs between

# table NAME COLUMN...: begins a data file. It replaces the last one when it is whole.
table() {
  local IFS=$'\t'
  printf '# %s\n%s\n' "$made" "${*:2}" >"$work/$1.tsv"
}

# record NAME VALUE...: appends a line.
record() {
  local IFS=$'\t'
  printf '%s\n' "${*:2}" >>"$work/$1.tsv"
}

keep() {
  local name
  for name; do mv "$work/$name.tsv" "$out/$name.tsv"; done
}

# decimals NUMBER DIGITS: the number divided by ten to the digits.
decimals() {
  local unit=$((10 ** $2))
  printf '%d.%0*d' $(($1 / unit)) "$2" $(($1 % unit))
}

# ---- The queues under load: QUEUE, or QUEUE1 to QUEUEN with QUEUES=N, as in load/wrk/submit.lua

# each ACTION: sends it for each of them.
each() {
  local name=$QUEUE reply
  [[ ! ${QUEUES:-} ]] || name+="[1-$QUEUES]"
  reply=$(curl -sS --max-time 60 "http://127.0.0.1:$server_port/action=QueueInfo&QueueName=$name&QueueAction=$1") ||
    die "no reply to $1 of $name"
  (($(grep -o '<response>SUCCESS</response>' <<<"$reply" | wc -l) == ${QUEUES:-1})) || die "$1 of $name: ${reply:0:300}"
  printf '%s' "$reply"
}

# totals: sets pending, running and finished to the sums over them.
totals() {
  local reply name
  reply=$(each queueStatus) || exit 1
  for name in pending running finished; do
    printf -v "$name" '%s' "$(grep -oP "<$name>\K[0-9]+" <<<"$reply" | awk '{ n += $1 } END { printf "%.0f", n }')"
  done
}

# drain: waits until nothing is queued or runs there.
drain() {
  local began now
  now_us began
  while totals && ((pending + running)); do
    now_us now
    ((now - began < 900000000)) || die "$QUEUE still has $pending queued and $running running actions after 900 s"
    nap 0.1
  done
}

# fill NAME TARGET BYTES: submits to QUEUE until it holds that many actions. Tokens of them go to $work/tokens, and how
# fast it went to the data file NAME.
fill() {
  local count last now have last_have last_finished
  totals
  have=$((pending + running + finished))
  count=$(($2 - have))
  ((count > 0)) || return 0
  note "filling to $2"
  rm -f "$work"/tokens*
  BYTES=$3 COUNT=$count CHECK='<token>' TOKENS_OUT=$work/tokens SAMPLE=$((count > 20000 ? count / 20000 : 1)) \
    start_load "$server_port" "$connections" 3600 submit
  now_us last
  last_have=$have last_finished=$finished
  while :; do
    nap 0.2
    totals
    now_us now
    have=$((pending + running + finished))
    # From the last submission on it is another kind of work: the last piece is left out.
    ((have < $2)) || break
    if ((now - last >= 1000000)); then
      record "$1" "$have" $(((have - last_have) * 1000000 / (now - last))) \
        $(((finished - last_finished) * 1000000 / (now - last))) "$pending"
      last=$now last_have=$have last_finished=$finished
    fi
    kill -0 "$wrk_pid" 2>/dev/null || break
  done
  # The threads of wrk end at their count, but wrk itself sleeps until it is interrupted.
  kill -INT "$wrk_pid" 2>/dev/null || true
  finish_load
  mix_tokens "$work/tokens"
}

# ---- Runs: each sets what `load` sets; the argument is the number of connections

on_server() {
  load "$server_port" "$1" "$seconds" "$script"
}

# Submissions to paused queues; what was acknowledged must be there.
to_paused() {
  local before
  totals
  before=$pending
  on_server "$1"
  totals
  if ((pending - before < requests)); then
    failed=1
    note "LOST: $requests acknowledged, $((pending - before)) queued"
  fi
}

# Actions that finish in the middle of a longer run of submissions; rps becomes their rate.
to_finish() {
  local began ended before
  start_load "$server_port" "$1" "$((seconds + 2))" submit
  nap 1
  totals
  before=$finished
  now_us began
  nap "$seconds"
  totals
  now_us ended
  finish_load
  rps=$(((finished - before) * 1000000 / (ended - began)))
  # What is left to do must not slow what is measured next.
  drain
}

# A paused queue that is resumed, with no submissions meanwhile; rps becomes the rate at which its actions finish.
to_empty() {
  local began ended before tick
  each resume >/dev/null
  totals
  before=$finished
  now_us began
  for ((tick = 0; tick < seconds * 20; tick++)); do
    nap 0.05
    totals
    ((pending + running)) || break
  done
  now_us ended
  rps=$(((finished - before) * 1000000 / (ended - began)))
}

# The same for a queue that is not paused yet.
pausing() {
  each pause >/dev/null
  to_paused "$1"
}

# The same, and it is as before afterwards.
while_paused() {
  local figures
  pausing "$1"
  figures="$rps $p50_us $p99_us"
  each resume >/dev/null
  drain
  read -r rps p50_us p99_us <<<"$figures"
}

# small RUN CONNECTIONS: on a server with a copy of the data, so that a small store stays small.
small() {
  local original=$data
  end "$server_pid" KILL
  data=$work/copy
  cp -r "$original" "$data"
  sed -i "s|^DataDirectory=.*|DataDirectory=$data/actions|" "$data/actiond.cfg"
  # The copying is not to go on while it is measured.
  sync -f "$data"
  start_server
  # As warm as the other one.
  TOKENS=$work/tokens load "$server_port" "$2" 1 status
  "$@"
  remove_server
  data=$original
  start_server
}

# ---- Measures

# medians RUN CONNECTIONS SCRIPT [alone]: sets rate, and p50 and p99 in milliseconds, to the medians of the runs; and,
# but if alone, ceiling_rate and ratio. RUN may be two words.
medians() {
  local run script=$3 all=() ceilings=() ratios=() halves=() tails=()
  for ((run = 0; run < runs; run++)); do
    if [[ ${4:-} != alone ]]; then
      load "$ceiling_port" "$2" "$seconds" "$script"
      ceilings+=("$rps")
    fi
    # shellcheck disable=SC2086 # two words
    $1 "$2"
    all+=("$rps") halves+=("$p50_us") tails+=("$p99_us")
    [[ ${4:-} == alone ]] || ratios+=($((rps * 100 / (ceilings[run] ? ceilings[run] : 1))))
  done
  rate=$(median "${all[@]}") p50=$(decimals "$(median "${halves[@]}")" 3) p99=$(decimals "$(median "${tails[@]}")" 3)
  [[ ${4:-} != alone ]] || return 0
  ceiling_rate=$(median "${ceilings[@]}") ratio=$(decimals "$(median "${ratios[@]}")" 2)
  note "$1: $rate/s, $ratio of the ceiling, p99 $p99 ms"
}

# lists LIST [CONNECTIONS]: ten actions of a list, again and again over these connections (2); sets rate, p50 and p99.
lists() {
  local -x LIST=$1
  # A first look at the replies, which also warms up.
  CHECK=SUCCESS load "$server_port" "${2:-2}" 1 newest
  medians on_server "${2:-2}" newest alone
  note "list $1: p50 $p50 ms, p99 $p99 ms"
}

# reads COUNT BYTES: polls and short lists of so many actions in the queue Read, which has none yet; sets reads to the rate of
# polls, that of the ceiling, the ratio, and p99 of a poll and of a list.
reads() {
  local -x QUEUE=Read QUEUES=''
  rm -f "$work"/tokens*
  submit "$1" Read "$2" "$work/tokens"
  mix_tokens "$work/tokens"
  drain
  TOKENS=$work/tokens CHECK=SUCCESS load "$server_port" "$connections" 1 status
  TOKENS=$work/tokens medians on_server "$connections" status
  reads=("$rate" "$ceiling_rate" "$ratio" "$p99")
  lists '&State=finished&Sort-By=finish-time&Sort-Order=descending&MaxResults=10'
  reads+=("$p99")
}

# restarts: after kill -9; sets restart to the milliseconds to the first answer.
restarts() {
  local run began ended before all=()
  totals
  before=$((pending + finished))
  for ((run = 0; run < runs; run++)); do
    end "$server_pid" KILL
    now_us began
    start_server
    now_us ended
    all+=($((ended - began)))
  done
  totals
  if ((pending + finished != before)); then
    failed=1
    note "LOST: $((pending + finished)) actions after the restart, $before before"
  fi
  restart=$(decimals "$(median "${all[@]}")" 3)
  note "restart: $restart ms"
}

disk_mb() {
  du -m --total "$data/actions" | awk 'END { print $1 }'
}

# whole_list READER [CURL OPTION...]: one list of all there is; the resident memory before and at most, and the time.
whole_list() {
  local before peak bytes took
  before=$(resident "$server_pid")
  # Forgets the peak so far.
  echo 5 >"/proc/$server_pid/clear_refs" || die "can't reset the peak of resident memory"
  curl -gsS "${@:2}" -w '%{stderr}%{size_download} %{time_total}\n' \
    "http://127.0.0.1:$server_port/action=QueueInfo&QueueName=$QUEUE&QueueAction=getStatus" \
    2>"$work/curl" | tail -c 100 >"$work/tail" || true
  [[ $(<"/proc/$server_pid/status") =~ VmHWM:[[:space:]]+([0-9]+) ]] || die "no VmHWM of process $server_pid"
  peak=$((BASH_REMATCH[1] / 1024))
  read -r bytes took < <(tail -n 1 "$work/curl")
  if [[ $1 == fast && $(<"$work/tail") != *'</autnresponse>' ]]; then
    failed=1
    note "CUT SHORT: the list of $present actions: $(<"$work/tail")"
  fi
  record list "$present" "$1" "$took" $((bytes / 1000000)) "$before" "$peak"
  note "whole list, $1 reader: $((bytes / 1000000)) MB in $took s, $before MB before, at most $peak MB"
}

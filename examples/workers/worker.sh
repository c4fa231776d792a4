#!/usr/bin/env bash
# A worker for actiond in shell. It needs bash, curl and jq.
#
#     worker.sh http://localhost:7000 Render [NAME]
#
# It takes actions of the queue Render one after the other, does them in `work`, and reports. Several queues are named with
# commas between them. If the environment has ACTIOND_KEY, that is sent as the key.
#
# Put your own work into `work`, which is run in a process group of its own. `parameter NAME DEFAULT` prints a parameter;
# `progress PERCENT STAGE PARTIAL` shows how far it is; what it prints is the result, and its exit code tells whether it failed
# (3: another attempt would only fail again). It is stopped (SIGSTOP) while the action is paused, and ended when that is to stop. If
# this program is killed (kill -9), the work ends at its next `progress`.

set -u

work() {
    # This one only sleeps, in steps.
    local steps step
    steps=$(parameter Steps 10)
    for ((step = 1; step <= steps; step++)); do
        sleep "$(parameter StepSecs 0.1)"
        progress $((100 * step / steps)) "step $step of $steps" "{\"steps\": $step}"
    done
    if [ -n "$(parameter Fail '')" ]; then
        parameter Fail '' >&2
        return 1
    fi
    printf '{"steps": %d, "language": "shell"}' "$steps"
}

address=$1 queues=$2 name=${3:-$(hostname)-$$}
files=$(mktemp -d)
leader='' is_ending=''

# The whole group of the work, or nothing.
signal_work() { [ -z "$leader" ] || kill "-$1" -- "-$leader" 2>/dev/null || true; }
cleanup() { signal_work KILL; rm -rf "$files"; }
trap cleanup EXIT
trap 'is_ending=1' TERM INT

# The case of the name does not matter. Of a value that is no text, what a shell can hold is printed.
parameter() {
    jq -r --arg name "$1" --arg default "$2" '
        def plain($encoding): if $encoding == "base64" then @base64d else . end;
        [.parameters.parameter[]? | . as $one
            | select($one."@name" | plain($one."@name_encoding") | ascii_downcase == ($name | ascii_downcase))
            | $one."@value" // $one."$" // "" | plain($one."@encoding")] | .[0] // $default' "$files/job"
}

# What the next heartbeat tells. Moved into place, so that it is never half there. Ends the work if nobody is left to tell it.
progress() {
    kill -0 $$ 2>/dev/null || kill -KILL 0
    printf '%s' "$1" >"$files/Progress.new" && mv "$files/Progress.new" "$files/Progress"
    printf '%s' "$2" >"$files/Stage.new" && mv "$files/Stage.new" "$files/Stage"
    printf '%s' "${3-}" >"$files/Partial.new" && mv "$files/Partial.new" "$files/Partial"
}

# Sends one request: its time limit, then NAME=VALUE or NAME@FILE. Sets `reply` to the reply's data, or `refused` to the reason;
# 0: success, 1: it may pass, 2: refused, 3: the action is not this worker's any more.
try_call() {
    local limit=$1 data=() one status code
    shift
    for one in "$@"; do data+=(--data-urlencode "$one"); done
    [ -z "${ACTIOND_KEY-}" ] || data+=(--header "Authorization: Bearer $ACTIOND_KEY")
    : >"$files/reply"
    status=$(curl --silent --max-time "$limit" "${data[@]}" --data-urlencode action=QueueWork \
        --data-urlencode ResponseFormat=simplejson --output "$files/reply" --write-out '%{http_code}' "$address") || return 1
    local first=''
    read -r -N 1 first <"$files/reply"
    if [ "$first" = '{' ]; then
        code=$(jq -r '.autnresponse | if .response == "SUCCESS" then "ok" else .responsedata.error.errorcode end' "$files/reply")
        [ "$code" = ok ] || refused=$(jq -r '.autnresponse.responsedata.error.errordescription // ""' "$files/reply")
    else
        # XML, where the server could not read so much of the request as the wish for JSON.
        code=$(sed -n 's:.*<errorcode>\([^<]*\)</errorcode>.*:\1:p' "$files/reply")
        refused=$(sed -n 's:.*<errordescription>\([^<]*\)</errordescription>.*:\1:p' "$files/reply")
        case $code:$status in
        :408 | :429) ;;
        :4*) code=HTTP refused="HTTP status $status" ;;
        esac
    fi
    case $code in
    ok) reply=$(jq -c '.autnresponse.responsedata // {}' "$files/reply") ;;
    ERRORUNAVAILABLE | '') return 1 ;;
    *)
        echo "$refused" >&2
        [ "$code" != ERRORWORKLOST ] || return 3
        return 2
        ;;
    esac
}

# Sends a request again until it is answered, this many times.
call() {
    local times=$1 limit=$2 pause=2 code # In tenths of a second.
    shift 2
    while :; do
        try_call "$limit" "$@"
        code=$?
        # Once it is to end, what it has to say is still said; it takes nothing more.
        [ $code = 1 ] && ((--times > 0)) && { [ -z "$is_ending" ] || [ "$1" != WorkAction=take ]; } || return $code
        sleep "$((pause / 10)).$((pause % 10))"
        pause=$((pause < 50 ? pause * 2 : 100))
    done
}

say() {
    local word=$1
    shift
    call 60 30 "WorkAction=$word" "Token=$token" "Attempt=$attempt" "$@"
}

# Says how it ended. What the server does not take will not be taken later: the action fails, and says why.
tell() {
    say "$@"
    [ $? != 2 ] || say fail "Error=$1 was refused: $refused" Retry=false
}

# Reports on the work while it runs, every second or at once if it is to pause or to stop. Sets `last_wish`.
attend() {
    local wish=run told=run code heard=$SECONDS news one
    while kill -0 "$leader" 2>/dev/null; do
        news=()
        for one in Progress Stage Partial; do
            [ ! -e "$files/$one" ] || news+=("$one@$files/$one")
        done
        try_call 30 WorkAction=heartbeat "Token=$token" "Attempt=$attempt" "Worker=$name" Wait=1 "${news[@]}"
        code=$?
        case $code in
        0) wish=$(jq -r .wish <<<"$reply") heard=$SECONDS ;;
        1) ((SECONDS - heard < 10 * lease)) || wish=force ;; # The server may be starting again.
        *) wish=force ;;
        esac
        [ -z "$is_ending" ] || wish=stop
        if [ "$wish" != "$told" ]; then
            case $wish in
            pause) signal_work STOP ;;
            run) signal_work CONT ;;
            stop) signal_work TERM && signal_work CONT ;;
            *) signal_work KILL ;;
            esac
            told=$wish
        fi
        [ $code = 0 ] || sleep 0.5
    done
    last_wish=$wish
}

one_job() {
    token=$(jq -r .token <"$files/job") attempt=$(jq -r .attempt <"$files/job") lease=$(jq -r .leasesecs <"$files/job")
    rm -f "$files"/{Progress,Stage,Partial}
    local missing
    missing=$(jq -r '[.parameters.parameter[]? | select(."@length" // "0" | tonumber > 0)
        | select(has("@value") or has("$") | not) | ."@name"] | join(", ")' "$files/job")
    if [ -n "$missing" ]; then
        say fail "Error=too long to be sent: $missing" Retry=false
        return
    fi
    set -m # So that the work leads a process group.
    (
        trap - TERM INT EXIT
        work >"$files/result" 2>"$files/errors"
    ) &
    leader=$!
    set +m
    attend
    wait "$leader" 2>/dev/null
    local code=$?
    leader=''
    case $last_wish:$code in
    force:*) ;;
    *:0) tell finish "Result@$files/result" ;;
    stop:*)
        # What there is of the result is kept.
        [ ! -e "$files/Partial" ] || say heartbeat "Partial@$files/Partial"
        say release
        ;;
    *:3) tell fail "Error@$files/errors" Retry=false ;;
    *) tell fail "Error@$files/errors" ;;
    esac
}

# It waits for no longer than it may take to end: an action whose reply is broken off would be missing for the time of its lease.
while [ -z "$is_ending" ]; do
    call 10 35 WorkAction=take "QueueName=$queues" "Worker=$name" Wait=5
    case $? in
    0)
        jq -c '.work[0] // empty' <<<"$reply" >"$files/job"
        [ ! -s "$files/job" ] || one_job
        ;;
    2) exit 1 ;;
    esac
done

# Draws the plots of load/growth: gnuplot -c load/growth.gp NAME DIR reads DIR/NAME.tsv and writes DIR/NAME*.svg.

name = ARG1
dir = ARG2
data = dir."/".name.".tsv"

set datafile separator tab
set datafile columnheaders
set datafile missing "-"
set grid lc rgb "#d8d8d8"
set border lc rgb "#404040"
set key below left Left reverse samplen 2 maxcols 2
set style data linespoints
set autoscale xfix
# Colours that the colour-blind can tell apart; grey is the ceiling.
set linetype 1 lc rgb "#0072b2" lw 2 pt 7 ps 0.6
set linetype 2 lc rgb "#d55e00" lw 2 pt 5 ps 0.6
set linetype 3 lc rgb "#009e73" lw 2 pt 9 ps 0.7
set linetype 4 lc rgb "#cc79a7" lw 2 pt 13 ps 0.7
# The same, dashed.
set linetype 11 lc rgb "#0072b2" lw 2 dt 2 pt 6 ps 0.6
set linetype 12 lc rgb "#d55e00" lw 2 dt 2 pt 4 ps 0.6
set linetype 13 lc rgb "#009e73" lw 2 dt 2 pt 8 ps 0.7
set linetype 8 lc rgb "#808080" lw 1.5 dt 2 pt 6 ps 0.5
set linetype 9 lc rgb "#808080" lw 1.5 dt 3 pt 4 ps 0.5

# One picture, or two beside each other, on white so that it can be read in dark mode too.
one = "set terminal svg size 720,440 font 'sans-serif,13' background '#ffffff'; set bmargin 9"
two = "set terminal svg size 960,440 font 'sans-serif,13' background '#ffffff'; set bmargin 8.5"
# Whole decades, with 1,000 written as 1k.
decades = "set format x '%.0s%c'; set logscale x 10"
plain = "set format y '%.0s%c'; unset logscale y; set yrange [0:*]"
logs = "set format y '%g'; set logscale y 10; set yrange [*:*]"

@decades

if (name eq "finished") {
    @one
    set output dir."/finished-rates.svg"
    @plain
    set xlabel "finished actions in the store"
    set ylabel "a second"
    plot data using "actions":"poll_per_s" title "polls" lt 1, \
         data using "actions":"submit_per_s" title "submissions" lt 2, \
         data using "actions":"finish_per_s" title "actions submitted and finished" lt 3, \
         data using "actions":"poll_ceiling" title "ceiling, the same polls" lt 8, \
         data using "actions":"submit_ceiling" title "ceiling, the same submissions" lt 9
    set output dir."/finished-lists.svg"
    @logs
    set ylabel "milliseconds"
    plot data using "actions":"newest_p99" title "the last to finish, p99" lt 1, \
         data using "actions":"newest_p50" title "the last to finish, p50" lt 11, \
         data using "actions":"started_p99" title "finished, the last to start, p99" lt 2, \
         data using "actions":"started_p50" title "finished, the last to start, p50" lt 12, \
         data using "actions":"errors_p99" title "errors (1 in 100), the last to start, p99" lt 3, \
         data using "actions":"errors_p50" title "errors, the last to start, p50" lt 13
}

if (name eq "queued") {
    @one
    set output dir."/queued-rates.svg"
    @plain
    set xlabel "queued actions in the store"
    set ylabel "a second"
    plot data using "actions":"submit_per_s" title "submissions" lt 2, \
         data using "actions":"poll_per_s" title "polls of queued actions" lt 1, \
         data using "actions":"empty_per_s" title "actions finished after resume" lt 3, \
         data using "actions":"poll_ceiling" title "ceiling, the same polls" lt 8, \
         data using "actions":"submit_ceiling" title "ceiling, the same submissions" lt 9

    finished = dir."/finished.tsv"
    both = system("test -f '".finished."' && echo yes") eq "yes"
    @two
    set output dir."/memory.svg"
    set key maxcols 1
    set multiplot layout 1, 2
    @plain
    set format y '%g'
    set xlabel "actions in the store"
    set ylabel "resident memory, MB"
    if (both) {
        plot data using "actions":"memory_mb" title "queued: after their submission" lt 2, \
             data using "actions":"restarted_mb" title "queued: after a restart" lt 12, \
             finished using "actions":"memory_mb" title "finished: after their submission" lt 1, \
             finished using "actions":"restarted_mb" title "finished: after a restart" lt 11
    } else {
        plot data using "actions":"memory_mb" title "queued: after their submission" lt 2, \
             data using "actions":"restarted_mb" title "queued: after a restart" lt 12
    }
    set ylabel "restart after kill -9: first answer, ms"
    if (both) {
        plot data using "actions":"restart_ms" title "queued" lt 2, \
             finished using "actions":"restart_ms" title "finished" lt 1
    } else {
        plot data using "actions":"restart_ms" title "queued" lt 2
    }
    unset multiplot
}

if (name eq "fill-finished" || name eq "fill-queued") {
    @one
    set output dir."/".name.".svg"
    @plain
    unset logscale x
    set bmargin 5
    set xlabel "actions in the store"
    set ylabel "a second"
    if (name eq "fill-finished") {
        plot data using "actions":"submitted_per_s" title "submitted" lt 2, \
             data using "actions":"finished_per_s" title "finished" lt 3
    } else {
        plot data using "actions":"submitted_per_s" title "submitted to a paused queue" lt 2
    }
}

if (name eq "list") {
    @two
    set output dir."/list.svg"
    set key maxcols 1
    set multiplot layout 1, 2
    @logs
    set xlabel "actions in one reply"
    set ylabel "seconds"
    plot data using (strcol("reader") eq "fast" ? column("actions") : NaN):"seconds" title "whole reply, fast reader" lt 1
    @plain
    set format y '%g'
    set ylabel "resident memory, MB"
    plot data using (strcol("reader") eq "fast" ? column("actions") : NaN):"peak_mb" title "at most, fast reader" lt 1, \
         data using (strcol("reader") eq "fast" ? column("actions") : NaN):"before_mb" title "before" lt 8, \
         data using (strcol("reader") eq "slow" ? column("actions") : NaN):"peak_mb" title "at most, slow reader" with points lt 2 ps 1
    unset multiplot
}

if (name eq "queues" || name eq "parameters") {
    @two
    set output dir."/".name.".svg"
    set key maxcols 1
    set multiplot layout 1, 2
    x = name eq "queues" ? "queues" : "bytes"
    set xlabel name eq "queues" ? "queues" : "bytes of parameters"
    set ylabel "a second"
    if (name eq "queues") {
        @plain
    } else {
        @logs
        set format y '%.0s%c'
    }
    plot data using x:"poll_per_s" title "polls" lt 1, \
         data using x:"submit_per_s" title "submissions" lt 2, \
         data using x:"finish_per_s" title "actions submitted and finished" lt 3, \
         data using x:"submit_ceiling" title "ceiling, the same submissions" lt 9
    if (name eq "queues") {
        set format y '%g'
        set ylabel "p99 of submissions, ms"
        plot data using x:"submit_p99" title "to paused queues" lt 2, \
             data using x:"finish_p99" title "to open queues" lt 3
    } else {
        set ylabel "MB a second"
        set format y '%g'
        plot data using x:"submit_mb_per_s" title "submissions" lt 2, \
             data using x:"finish_mb_per_s" title "actions submitted and finished" lt 3
    }
    unset multiplot
}

if (name eq "connections") {
    @two
    set output dir."/connections.svg"
    set key maxcols 1
    set multiplot layout 1, 2
    @plain
    set xlabel "connections"
    set ylabel "a second"
    plot data using "connections":"poll_per_s" title "polls" lt 1, \
         data using "connections":"submit_per_s" title "submissions" lt 2, \
         data using "connections":"finish_per_s" title "actions submitted and finished" lt 3, \
         data using "connections":"poll_ceiling" title "ceiling, the same polls" lt 8, \
         data using "connections":"submit_ceiling" title "ceiling, the same submissions" lt 9
    @logs
    set ylabel "p99, ms"
    plot data using "connections":"poll_p99" title "polls" lt 1, \
         data using "connections":"submit_p99" title "submissions" lt 2, \
         data using "connections":"finish_p99" title "submissions of actions that run at once" lt 3
    unset multiplot
}

//! The programs of a storm, and who kills single ones of them.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::super::shop::Shop;
use super::super::client::Dice;
use super::{diary, pace};

/// The kinds of programs. Those that are deaf end only by force, so somebody has to stop them.
pub(super) const KINDS: [&str; 10] =
    ["quick", "quick", "quick", "slow", "slow", "slow", "deaf", "daemon", "flaky", "bad"];

/// Its arguments are a kind and the mark of its action, which is how it is found in `/proc`.
pub(super) const SCRIPT: &str = r#"
kind=$1 mark=$2 diary="$H/diaries/$2"
if [ "$kind" = lurk ]; then
    echo "lurk $ACTIOND_ATTEMPT $$" >> "$diary"
    exec tail -f "$H/mark" "$H/diaries/$mark" "$mark" > "$H/null" 2>&1
fi
echo "begin $ACTIOND_ATTEMPT $$" >> "$diary"
case $ACTIOND_PROCESS in ?*) echo "${ACTIOND_PROCESS%%.*}" > "$H/system" ;; esac
begun=0
while read -r what attempt pid; do
    case $what in
        begin) begun=$((begun + 1)) ;;
        lurk) ;;
        *) continue ;;
    esac
    [ "$pid" = $$ ] || ! grep -qs "$mark" "/proc/$pid/cmdline" ||
        echo "twice $attempt $pid" >> "$diary"
done < "$diary"
finish() { echo "end $ACTIOND_ATTEMPT $1" >> "$diary"; exit "$1"; }
work() {
    step=0
    while [ $step -lt "$1" ]; do
        step=$((step + 1))
        echo "progress $step/$1 step" >&3
        sleep 0.1
    done
}
case $kind in
    slow) work 12 ;;
    deaf) trap '' TERM; work 3000 ;;
    daemon)
        setsid /bin/sh "$0" lurk "$mark" > /dev/null 2>&1 < /dev/null &
        looks=0
        until grep -q "^lurk $ACTIOND_ATTEMPT " "$diary" || [ $looks -ge 50 ]; do
            looks=$((looks + 1))
            sleep 0.02
        done ;;
    flaky) [ $begun -ge 2 ] || finish 3 ;;
    bad) finish 3 ;;
esac
echo "<mark>$mark</mark>"
finish 0
"#;

/// Kills a program now and then, as somebody at the machine may, until the storm comes to rest.
pub(super) fn shoot(shop: &Shop, dice: &mut Dice, resting: &AtomicBool, over: &AtomicBool) {
    while !resting.load(Ordering::SeqCst) && !over.load(Ordering::SeqCst) {
        pace(400, dice);
        let programs = shop.programs();
        if programs.is_empty() {
            continue;
        }
        let one = &programs[dice.below(programs.len())];
        let words: Vec<_> = one.line.split_whitespace().collect();
        let is_work = words.get(1).is_some_and(|word| word.ends_with("/work.sh"));
        if let (true, Some(mark)) = (is_work, words.get(3)) {
            let home = shop.path("");
            diary::note(&home, mark, &format!("shot {}", one.pid));
            // It may have ended meanwhile.
            let _ = Command::new("kill").args(["-KILL", &one.pid.to_string()]).output();
        }
    }
}

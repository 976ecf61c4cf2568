# The driver: one plain sh that lives as long as the build and runs each command
# of the buildspec in a fresh shell. It reads requests from stdin, each a line of
# shell, and evaluates them; the output of commands goes to stdout, the driver's
# answers to stderr. Only builtins are used: an image needs sh and nothing else.
#
# Processes of the build may write to the files below and, as the same user, even
# to the driver's stdin. So no file is ever evaluated here, a request must begin
# with the key, and a file that is missing or differs is reported as a fault.
#
# Arguments: the directory of the state; "first", or "later" if another driver has
# begun there; the text before and after a script's token; the text that saves the
# state; the shell of the commands; their directory if the last one is gone; and text
# that saves the state before a command, or nothing.
# A shell reads its input byte by byte, a system call each: arguments cost nothing,
# so they take what is no secret, and requests are short.

# A signal meant for a command's process group must not end the driver. Handlers,
# unlike ignored signals, are not inherited by commands. 25 is SIGXFSZ: with it
# caught, a write beyond a file size limit fails and is reported.
trap : HUP INT QUIT USR1 USR2 ALRM TERM 25

# script TOKEN TEXT: TEXT becomes the command's script. It begins at line 4, as in
# the service; $tail saves the shell's state. Line 3 sends TOKEN to the client: the
# script that ran is this one, and the state was loaded.
script() {
  text=$before$1$after$saves$nl$2$nl$tail
  write script.sh "$text"
}

# append TEXT FILE: TEXT is added to FILE.
append() { regular "$2" && { printf '%s\n' "$1" >>"$d/$2" || full; }; }

# write FILE TEXT: FILE contains TEXT and nothing else.
write() { regular "$1" && { printf '%s\n' "$2" >"$d/$1" || full; }; }

# regular FILE: FILE is missing or a regular file; opening a pipe would block.
regular() {
  if [ -f "$d/$1" ] || [ ! -e "$d/$1" ]; then return 0; fi
  fault "$d/$1 is not a regular file any more"
  return 1
}

# fault TEXT: no command can be trusted any more. The first fault counts.
fault() { broken=${broken:-$1}; }

# full: a file could not be written.
full() {
  limit=$(ulimit -f)
  case $limit in
    unlimited) fault "no space left in $d" ;;
    *) fault "cannot write to $d: the size of files is limited to $limit blocks" ;;
  esac
}

# unsaved: a command's shell did not save its state. A block that can be written
# here means that the reason is the command's own.
unsaved() {
  if ! printf '%4096s' '' >"$d/space.txt"; then full; fi
  fault "a command ended before its shell could save its state in $d, or limits the size of files"
  printf '' >"$d/space.txt"
}

# contains FILE: FILE contains exactly $text. Lines are collected in small parts,
# for adding to a long text copies it.
contains() {
  all= part= n=0
  [ -f "$d/$1" ] || return 1
  while IFS= read -r line || [ -n "$line" ]; do
    part=$part$line$nl n=$((n + 1))
    case $n in *00) all=$all$part part= ;; esac
  done <"$d/$1"
  [ "$all$part" = "$text$nl" ]
}

# complete: the saved variables are all there.
complete() {
  [ -f "$d/env.sh" ] || return 1
  while IFS= read -r line; do
    if [ "$line" = "$complete" ]; then return 0; fi
  done <"$d/env.sh"
  return 1
}

# check: the files are as the driver or the last command's shell left them.
check() {
  cwd=
  if [ -f "$d/dir.txt" ]; then IFS= read -r cwd <"$d/dir.txt"; fi
  if [ -z "$cwd" ]; then
    unsaved
  elif [ "$status" = 0 ]; then
    contains script.sh || fault "$d/script.sh was changed while it ran"
  else
    complete || fault "$d/env.sh was removed or truncated"
  fi
}

# run MARK TOKEN TEXT [aside]: runs TEXT as a script, see there, where the last one
# ended. MARK tells, on stdout, that all output before it is out; on stderr it vouches
# for the exit status. The next command learns the status, unless this one is run aside.
run() {
  status=126 saves=
  if [ -z "$4" ]; then saves=$previous; fi
  if [ -z "$broken" ]; then script "$2" "$3"; fi
  if [ -z "$broken" ] && regular env.sh && regular dir.txt; then execute; fi
  if [ -z "$broken" ]; then check; fi
  if [ -z "$4$broken" ]; then append "export CODEBUILD_LAST_EXIT='$status'" env.sh; fi
  printf '\036%s\036' "$1"
  printf '\n%s %s %s\n' "$1" "$status" "$broken" >&2
}

# execute: runs the script. Descriptor 9 is for its line 3 alone.
execute() {
  cwd=
  if [ -f "$d/dir.txt" ]; then IFS= read -r cwd <"$d/dir.txt"; fi
  if ! cd "$cwd" 2>/dev/null; then
    cd "$home" 2>/dev/null || cd /
    append "export PWD='$PWD'" env.sh
  fi
  if command -v "$shell" >/dev/null 2>&1; then
    PWD=$PWD "$shell" "$d/script.sh" </dev/null 9>&2 2>&1
    status=$?
  else
    printf '%s: not found\n' "$shell"
    status=127
  fi
}

# The container's own variables are written down once; then the driver unsets every
# variable, so that one that a command unsets does not come back from here. Names are
# taken generously: one too many does no harm.
# The umask is a container's own. (Asking for it would cost a fork.)
umask 0
printf '' >>"$1/env.sh" && printf '' >>"$1/dir.txt" && printf '' >>"$1/script.sh" && printf '' >>"$1/shed.sh" &&
  printf '' >>"$1/space.txt"
if [ -n "$8" ]; then printf '' >>"$1/env.prev.sh" && printf '' >>"$1/dir.prev.txt" && printf '' >>"$1/pid.txt"; fi
umask 022
if [ "$2" = first ]; then
  { export -p && printf 'set -- complete\n'; } >"$1/env.sh" || set -- "$1" full "$3" "$4" "$5" "$6" "$7" "$8"
fi
export -p >"$1/shed.sh" || set -- "$1" full "$3" "$4" "$5" "$6" "$7" "$8"
set -- "$@" "$PATH"
while IFS=' =' read -r word name rest; do
  case $name in -*) name=${rest%%=*} ;; esac
  case $name in '' | [0-9]* | *[!A-Za-z0-9_]*) ;; *) unset "$name" ;; esac
done <"$1/shed.sh"
d=$1 before=$3 after=$4 tail=$5 shell=$6 home=$7 previous=$8 PATH=$9 LC_ALL=C complete='set -- complete' broken=
if [ "$2" = full ]; then full; fi
nl='
'

# The first line is the key. Each other line is KEY LENGTH REQUEST: what a process of
# the build writes to this stream, or between the parts of a request, is not evaluated.
IFS= read -r key
while IFS= read -r input; do
  request=${input#"$key "} length=
  if [ "$request" != "$input" ]; then length=${request%% *} request=${request#* }; fi
  if [ "$length" != "${#request}" ]; then
    printf 'a process of the build wrote to the input of the shell\n' >&2
    exit 1
  fi
  eval "$request"
done

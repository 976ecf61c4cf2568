# The driver: one plain sh that lives as long as the build and runs each command
# of the buildspec in a fresh shell. It reads lines of shell from stdin and
# evaluates them; what a command prints goes to stdout, exit statuses to stderr.
# Only builtins are used: an image needs sh and nothing else.
d=$1
newline='
'

# A signal meant for a command's process group must not end the driver. Handlers,
# unlike ignored signals, are not inherited by what is started from here.
trap : HUP INT QUIT USR1 USR2 ALRM TERM

# script N: the next N lines become the command's script. The text stands at
# line 4, as in the service; $head and $tail load and save the shell's state.
script() {
  n=$1
  {
    printf '%s\n' "$head"
    while [ "$n" -gt 0 ]; do
      IFS= read -r line || exit 1
      printf '%s\n' "$line"
      n=$((n - 1))
    done
    printf '%s\n' "$tail"
  } >"$d/script.sh"
}

# append N FILE: the next N lines are added to FILE of the state's directory.
append() {
  n=$1
  while [ "$n" -gt 0 ]; do
    IFS= read -r line || exit 1
    printf '%s\n' "$line"
    n=$((n - 1))
  done >>"$d/$2"
}

# run MARK SHELL DIR [aside]: runs the script where the last one ended, or in DIR
# when that place is gone. MARK tells, on stdout, that all output before it is
# out; on stderr it vouches for the exit status. The next command learns the
# status, unless this one is run aside.
run() {
  IFS= read -r cwd <"$d/dir.txt"
  if ! cd "$cwd" 2>/dev/null; then
    cd "$3" 2>/dev/null || cd /
    printf "export PWD='%s'\n" "$PWD" >>"$d/env.sh"
  fi
  if command -v "$2" >/dev/null 2>&1; then
    PWD=$PWD "$2" "$d/script.sh" </dev/null 2>&1
    status=$?
  else
    printf '%s: not found\n' "$2"
    status=127
  fi
  if [ -z "$4" ]; then printf "export CODEBUILD_LAST_EXIT='%s'\n" "$status" >>"$d/env.sh"; fi
  printf '\036%s\036' "$1"
  printf '%s %s\n' "$1" "$status" >&2
}

# What the build begins with is written down once; then the driver sheds every
# variable, so that what a command unsets does not come back from here. Names are
# taken generously: one too many does no harm.
# The umask is a container's own. (Asking for it would cost a fork.)
umask 0
: >>"$d/env.sh" && : >>"$d/dir.txt" && : >>"$d/script.sh" && : >>"$d/shed.sh"
umask 022
if [ "$2" = first ]; then export -p >"$d/env.sh"; fi
export -p >"$d/shed.sh"
search=$PATH
while IFS=' =' read -r word name rest; do
  case $name in -*) name=${rest%%=*} ;; esac
  case $name in '' | [0-9]* | *[!A-Za-z0-9_]*) ;; *) unset "$name" ;; esac
done <"$d/shed.sh"
PATH=$search LC_ALL=C

while IFS= read -r request; do eval "$request"; done

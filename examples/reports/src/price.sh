# The price of some pieces, in cents.
price() {
  if [ "$1" -ge 10 ]; then
    echo $(($1 * $2 * 9 / 10))
  else
    echo $(($1 * $2))
  fi
}

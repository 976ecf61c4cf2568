# A test tool in a few lines: it writes down what it finds as JUnit XML.
. src/price.sh

expect() {
  got=$(price "$2" "$3")
  echo "  <testcase classname=\"price\" name=\"$1\" time=\"0.01\">"
  [ "$got" = "$4" ] || echo "    <failure message=\"expected $4, got $got\">src/price.sh:4</failure>"
  echo "  </testcase>"
}

{
  echo '<testsuite name="price">'
  expect "one piece" 1 100 100
  expect "ten pieces" 10 100 950
  echo '</testsuite>'
} >results.xml
echo "2 tests"
! grep -q '<failure' results.xml

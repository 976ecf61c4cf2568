# Writes the catalog. It fails: the file is called prices.csv.
set -e
echo "catalog $TAG" >dist/catalog.txt
cat price.csv >>dist/catalog.txt

# One command line for each kind of task that solves it, for every seed: what a
# scripted agent runs. Sections begin with `## KIND`.

## csv-totals
awk -F, 'NR>1 && $3=="paid" {s[$2]+=$4} END {for (r in s) print r "," s[r]}' orders.csv | sort > totals.csv
grep -c ',void,' orders.csv > void.txt || true
awk -F, 'NR>1 && $3=="paid" && $4>m {m=$4; id=$1} END {print id}' orders.csv > largest.txt

## csv-duplicates
awk -F';' '{print $1 ";" tolower($2) ";" $3}' signups.csv | sort -r | awk -F';' '!seen[$2]++' | sort -t';' -k2,2 > clean.csv
echo $(( $(wc -l < signups.csv) - $(wc -l < clean.csv) )) > removed.txt

## csv-repair
: > fixed.csv
: > rejected.csv
while IFS= read -r line; do
  clean=$(printf '%s' "$line" | tr ';' ',' | tr -d ' \r')
  if [[ $clean =~ ^[0-9]+,[a-z]+,[0-9]+$ ]]; then
    printf '%s\n' "$clean" >> fixed.csv
  else
    printf '%s\n' "$line" >> rejected.csv
  fi
done < stock.csv

## csv-join
awk -F'\t' 'NR==FNR {team[$1]=$3; next} {h[team[$1]]+=$2} END {for (t in h) print t, h[t]}' people.tsv shifts.tsv | sort -k2,2nr -k1,1 > hours.txt
awk -F'\t' 'NR==FNR {seen[$1]=1; next} !($1 in seen) {print $2}' shifts.tsv people.tsv > idle.txt

## tsv-transpose
awk -F'\t' '{for (i=1; i<=NF; i++) a[i]=a[i] (NR>1 ? "\t" : "") $i; n=NF} END {for (i=1; i<=n; i++) print a[i]}' table.tsv > turned.tsv
awk -F'\t' '{s=0; for (i=1; i<=NF; i++) s+=$i; print s}' table.tsv > sums.txt

## log-errors
cat logs/*.log | awk '$2=="ERROR"' | grep -o 'code=E[0-9]*' | cut -d= -f2 | sort | uniq -c | awk '{print $1, $2}' | sort -k1,1nr -k2,2 > report.txt
for f in logs/*.log; do echo "$(awk '$2=="ERROR"' "$f" | wc -l) $f"; done | sort -k1,1nr -k2,2 | head -1 | cut -d' ' -f2 > worst.txt

## log-slowest
sed -E 's/\?[^ ]*//; s/ms$//' access.log > plain.log
awk '{if ($4>m[$2]) m[$2]=$4} END {for (p in m) print p, m[p]}' plain.log | sort -k2,2nr -k1,1 | head -5 > slow.txt
awk '{n[$2]++} END {for (p in n) print p, n[p]}' plain.log > hits.txt

## log-scanner
ip=$(awk '$4==404 {print $1}' access.log | sort | uniq -c | sort -rn | head -1 | awk '{print $2}')
echo "$ip" > address.txt
grep "^$ip " access.log | grep -o '/admin/[a-z]*\.php' | sort -u > paths.txt

## log-gaps
awk 'NR>1 && $1-t>300 {print t, $1, $1-t} {t=$1}' sensor.log > gaps.txt
sum=0; n=0; while read -r _ v; do sum=$((sum+v)); n=$((n+1)); done < sensor.log; echo $((sum/n)) > mean.txt

## config-rename
find services -name '*.ini' | while read -r f; do
  awk '/^\[/ {s=$0} s=="[client]" && /^timeout = / {print "timeout_ms = " $3*1000; next} {print}' "$f" > tmp && mv tmp "$f"
done

## config-merge
cat base.env stage.env local.env | grep = | awk -F= '{v[$1]=$0} END {for (k in v) print v[k]}' | sort > merged.env
cat stage.env local.env | grep = | cut -d= -f1 | sort -u > changed
grep = base.env | cut -d= -f1 | sort | comm -23 - changed > untouched.txt

## config-ports
for f in conf.d/*.conf; do echo "$(grep '^port:' "$f" | cut -d' ' -f2) $(grep '^name:' "$f" | cut -d' ' -f2)"; done | sort -k1,1n -k2,2 > all
awk '{n[$1]++; l[$1]=l[$1] " " $2} END {for (p in n) if (n[p]>1) print p ":" l[p]}' all | sort -n > conflicts.txt
tail -1 all | cut -d' ' -f1 > highest.txt

## json-summary
jq -c '{total: length, states: (group_by(.state) | map({(.[0].state): length}) | add)}' orders.json > summary.json
jq -r '.[] | "\(.customer) \(.item.price * .item.count)"' orders.json | awk '{s[$1]+=$2} END {for (c in s) print c, s[c]}' | sort -k2,2nr -k1,1 | head -3 > best.txt

## json-flatten
jq -r '.sites[] | .site as $s | .devices[] | select(.on) | [$s, .name, .port] | @tsv' sites.json > on.tsv
[ -s on.tsv ] || echo none > on.tsv
jq '[.sites[].devices[] | select(.on | not)] | length' sites.json > off.txt

## json-versions
new=$(jq -Rn '[inputs | split(" ") | {(.[0]): .[1]}] | add' versions.txt)
for f in apps/*/package.json; do
  jq --argjson new "$new" '.dependencies |= with_entries(.value = ($new[.key] // .value))' "$f" > tmp && mv tmp "$f"
done

## text-frequencies
tr -cs 'A-Za-z' '\n' < text.txt | tr A-Z a-z | grep . | sort | uniq -c | awk '{print $2, $1}' | sort -k2,2nr -k1,1 > all
head -8 all > top.txt
wc -l < all | tr -d ' ' > different.txt

## text-acrostic
sort -n notes.txt | sed -E 's/^[0-9]+: (.).*/\1/' | tr -d '\n' > message.txt
sort -n notes.txt | tail -1 | cut -d: -f1 > last.txt

## text-cipher
abc=abcdefghijklmnopqrstuvwxyz
for n in {1..25}; do
  tr "$abc" "${abc:26-n}${abc:0:26-n}" < secret.txt > plain.txt
  grep -q '^the key is' plain.txt && break
done
head -1 plain.txt | sed 's/the key is //; s/\.//' > key.txt

## text-contents
awk '/^```/ {c=!c} !c && /^###? / {l=$1; sub(/^#+ /, ""); a=tolower($0); gsub(/ /, "-", a); print (l=="###" ? "  " : "") "- [" $0 "](#" a ")"}' manual.md > contents.md
grep -c '^-' contents.md > chapters.txt

## script-repair
cat > stats.sh <<'SCRIPT'
#!/bin/bash
sum=0
largest=
while read -r number; do
  sum=$((sum + number))
  if [ -z "$largest" ] || [ "$number" -gt "$largest" ]; then largest=$number; fi
done < "$1"
echo "sum $sum"
echo "largest $largest"
SCRIPT
bash stats.sh numbers.txt > expected.txt

## script-write
n=$(pwd > /dev/null; echo "$LEAST")
cat > count.sh <<SCRIPT
tr -s ' ' '\n' | awk 'length >= $n {c[\$0]++} END {for (w in c) print w "=" c[w]}' | sort
SCRIPT
bash count.sh < words.txt > counts.txt

## code-rename
sed -i -E "s/(^|[^A-Za-z0-9_.])$OLD\(/\1$NEW(/g" src/*.py
grep -o "[^A-Za-z0-9_.]$NEW(" src/*.py | wc -l | tr -d ' ' > calls.txt

## tree-sort
: > list
for f in inbox/*; do
  n=${f#inbox/}; name=${n%%_*}; rest=${n#*_}; year=${rest%%-*}; type=${n##*.}
  mkdir -p "archive/$year/$type"
  mv "$f" "archive/$year/$type/$name.$type"
  echo "archive/$year/$type/$name.$type" >> list
done
sort list > moved.txt; rmdir inbox

## tree-compare
(cd old && find . -type f | sed 's/^..//' | sort) > o
(cd new && find . -type f | sed 's/^..//' | sort) > n
comm -13 o n > added.txt
comm -23 o n > removed.txt
comm -12 o n | while read -r f; do cmp -s "old/$f" "new/$f" || echo "$f"; done > changed.txt

## tree-links
cd docs
grep -o '([a-z]*\.md)' *.md | tr -d '()' | tr ':' ' ' > ../all
cd ..
while read -r page target; do [ -e "docs/$target" ] || echo "$page $target"; done < all > broken.txt
wc -l < all | tr -d ' ' > total.txt

## tree-manifest
: > wrong.txt
: > missing.txt
while read -r path bytes; do
  if [ ! -e "store/$path" ]; then echo "$path" >> missing.txt
  elif [ "$(wc -c < "store/$path")" -ne "$bytes" ]; then echo "$path" >> wrong.txt; fi
done < manifest.txt
find store -type f -exec cat {} + | wc -c | tr -d ' ' > bytes.txt

# The files that each command of commands.jsonl finds.
printf 'pear\napple\nfig\nbanana\napple\ncherry\n' > words.txt
printf '10\n9\n2\n33\n-4\n2\n' > nums.txt
printf 'id,name,team,score\n1,Ada,red,90\n2,Boris,blue,71\n3,Chen,red,85\n4,Dora,green,60\n' > data.csv
printf '2024-05-01 10:00:00 INFO start\n2024-05-01 10:00:05 ERROR disk full code=28\n2024-05-01 10:01:00 WARN slow\n2024-05-01 10:02:30 ERROR timeout code=110\n' > app.log
printf '{"people":[{"name":"Ada","age":36,"tags":["x","y"]},{"name":"Boris","age":41,"tags":[]},{"name":"Chen","age":29,"tags":["y"]}],"count":3}\n' > people.json
mkdir -p d/b d/empty
printf 'one\ntwo\nthree\n' > d/a.txt
printf 'alpha beta\ngamma\n' > d/b/c.txt
printf 'hidden\n' > d/.hidden
printf '#!/bin/bash\necho "script $# $1"\nexit 3\n' > s.sh
printf 'The quick brown fox\njumps over the lazy dog\n' > text.txt
printf 'k1 v1\nk2 v2\nk3 v3\n' > left.txt
printf 'k1 w1\nk3 w3\nk4 w4\n' > right.txt
printf 'a\tb\tc\n1\t2\t3\n' > table.tsv

#!/usr/bin/env bash
# check_papers.sh ROOT [--fix]: docs/papers.md sends a reader to lines of the code: [file:12](../file#L12) `words of that line`. Complains
# where the words are not on the line, or are in the file more than once (nobody could say where they went); about a line that is a comment
# without "said at" before the link, a link that is not of this form, an anchor without a heading, and a file that has to be there but is not.
# With --fix line numbers follow the words.
set -u
cd -- "$1" || exit 2
page=docs/papers.md
[[ -r $page ]] || { echo "$page: not there"; exit 2; }

problems=0 moved=0
complain() { printf '%s\n' "$1"; problems=$((problems + 1)); }

# [file:line](../file#Lline) `words`: what is matched is taken off the line, so that what is left must not hold a link to a file.
link='\[([^]]+):([0-9]+)\]\(\.\./([^)#]+)#L([0-9]+)\) `([^`]+)`'
number=0 links=0 fixed="" files=" "
while IFS= read -r text || [[ -n $text ]]; do
  number=$((number + 1)) rest=$text
  while [[ $rest =~ $link ]]; do
    whole=${BASH_REMATCH[0]} label=${BASH_REMATCH[1]} shown=${BASH_REMATCH[2]} file=${BASH_REMATCH[3]} line=${BASH_REMATCH[4]} words=${BASH_REMATCH[5]}
    before=${rest%%"$whole"*} rest=${rest/"$whole"/} links=$((links + 1)) files+="$file "
    [[ $label == "$file" && $shown == "$line" ]] || complain "$page:$number: [$label:$shown] links to $file#L$line"
    [[ -r $file ]] || { complain "$page:$number: $file is not there"; continue; }
    mapfile -t hits < <(grep -nF -- "$words" "$file")
    first=${hits[0]:-}
    at=${first%%:*} code=${first#*:}
    if ((${#hits[@]} == 0)); then
      complain "$page:$number: \"$words\" is nowhere in $file"
    elif ((${#hits[@]} > 1)); then
      complain "$page:$number: \"$words\" is in $file ${#hits[@]} times; more words of the line, please"
    elif [[ $at != "$line" ]]; then
      if [[ ${2:-} == --fix ]]; then
        text=${text/"$whole"/"[$file:$at](../$file#L$at) \`$words\`"} moved=$((moved + 1))
      else
        complain "$page:$number: \"$words\" is on line $at of $file, not on $line"
      fi
    elif [[ $code =~ ^[[:space:]]*// && $before != *'said at ' ]]; then
      complain "$page:$number: line $line of $file is a comment: a line of code, please, or \"said at\" before the link"
    fi
  done
  [[ $rest == *'](../'* ]] && complain "$page:$number: expected [file:line](../file#Lline) \`words of that line\`"
  fixed+=$text$'\n'
done <"$page"
((links)) || complain "$page: no links at all"

# Anchors, as GitHub makes them from headings.
headings=" $(sed -n 's/^##* //p' "$page" | tr 'A-Z' 'a-z' | sed 's/[][^!"#$%&()*+,./:;<=>?@\\`{|}~'"'"']//g; s/ /-/g' | tr '\n' ' ')"
while IFS= read -r anchor; do
  [[ $headings == *" $anchor "* ]] || complain "$page: no heading for #$anchor"
done < <(grep -o '](#[^)]*)' "$page" | sed 's/^](#//; s/)$//' | sort -u)

# What has to be there: families of networks, optimisers, and kernels that have a gradient or are a step of an optimiser (by their contract
# or their definition).
while IFS= read -r file; do
  [[ $files == *" $file "* || $files == *" ${file%.h}_reference.cpp "* ]] || complain "$page: says nothing of $file"
done < <(grep -lE '^std::vector<ModelEntry> [a-z0-9_]+_models\(' vision/models/*.cpp; grep -lE ': public (Optimizer|Adam) ' optim/*.h
         grep -lE '[a-z0-9]_(forward|step)\((Reference|const T\*)' kernels/*.h)

if [[ ${2:-} == --fix ]]; then
  printf '%s' "$fixed" >"$page.new" && mv -- "$page.new" "$page" || exit 2
  echo "$moved of $links lines moved"
fi
((problems == 0))

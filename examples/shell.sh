# What the examples in the documents use: `. examples/shell.sh`, from the folder of the repository.
# Without API and KEY it means `make run`; in Azure set both before.

API=${API:-http://127.0.0.1:7071/api}
KEY=${KEY:-none} # a function key; `make run` asks for none
MASTER_KEY=${MASTER_KEY:-none}
CALLER=${CALLER:-x-functions-key: $KEY} # the header that says who calls: a function key, or a bearer token

# Print one field of the answer on standard input, by its path: `field operation.status`, `field nextSteps.0.command`.
field() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name) if name.isdigit() else name]
print(value, end="")' "$1"
}

# Wait until the operation of a registration has ended, and print the registration; whatever else is answered ends it too.
ended() {
  while
    answer=$(curl -s -H "$CALLER" "$API/registrations/${1:?the id of a registration}")
    [ "$(printf %s "$answer" | field operation.status)" = pending ]
  do
    sleep 1
  done
  printf '%s\n' "$answer"
}

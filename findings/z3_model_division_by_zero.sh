#!/usr/bin/env bash
# z3-solver 4.15.4.0: what get-value says of every declared constant does not make a formula true that divides by zero.
# The rest of the model is a function named `/0`, which only get-model prints, of two arguments, the second always 0;
# as input, a definition of `/0` is accepted and changes nothing. So a checker that puts the values of get-value, or of
# both, back into the formula finds that its negation still has a model.
# Seen: values alone: sat; with /0 defined: sat; a formula that does not divide: unsat.
set -e
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q z3-solver==4.15.4.0
z3="$dir/venv/bin/z3"
ask() { printf '%s\n' "$1" | "$z3" -in; }
formula='(> (/ r 0.0) 3.0)'
model=$(ask "(declare-const r Real)(assert $formula)(check-sat)(get-model)")
printf '%s\n' "$model"
zero=$(printf '%s' "$model" | tr '\n' ' ' | grep -o '(define-fun /0 ((x!0 Real) (x!1 Real)) Real *[^ ]*)')
r=$(ask "(declare-const r Real)(assert $formula)(check-sat)(get-value (r))" | grep -o '((r [0-9.]*))' | tr -d '()' | cut -d' ' -f2)
values="(define-fun r () Real $r)"
alone=$(ask "$values(assert (not $formula))(check-sat)")
with_zero=$(ask "$zero$values(assert (not $formula))(check-sat)")
plain=$(ask "(define-fun r () Real 7.0)(assert (not (> (/ r 2.0) 3.0)))(check-sat)")
echo "values alone: $alone; with /0 defined: $with_zero; a formula that does not divide: $plain"
test "$alone" = sat
test "$with_zero" = sat
test "$plain" = unsat

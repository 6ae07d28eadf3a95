#!/bin/sh
# Test-time scaling on the built-in model: one question, a comparison, the curves behind it, a verifier; and, where its
# package is installed, a question to a real model.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bank="$folder/bank.db"

say() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

show() {
    printf '$ mull %s\n' "$*"
    mull "$@"
}

say "1. One question, many draws, one vote"
show solve 'e:b-30;b:a+45;a:9;c:8;d:c*7;f:e*6;f?' --strategy majority:n=32 --kind number --bank "$bank"

if mull list models | grep -q '^gguf:SmolLM2'; then
    say "   The same with a real model, SmolLM2 with 135 million parameters: the vote finds what one draw often misses"
    show solve 'What is the capital of Australia?' --model gguf:SmolLM2-135M-Instruct.Q4_1.gguf --strategy majority:n=16 \
        --max-tokens 60 --bank "$bank"
fi

say "2. More draws, better answers: the same model on 100 held-out problems"
show sweep chain:ops=4 --strategy single --strategy majority:n=16 --strategy adaptive:n=64,rule=beta \
    --problems 100 --bank "$bank" --out "$folder/chain.jsonl"

say "3. What more draws would buy: coverage is what a perfect choice among k draws would reach"
show curves "$folder/chain.jsonl"

say "4. With a verifier: draw until the checker passes one"
show sweep countdown:numbers=4 --strategy single --strategy until-pass:n=64 --verifier countdown \
    --problems 50 --bank "$bank"

say "5. Nothing that was paid for is paid for twice: the same sweep again, from the bank"
show sweep chain:ops=4 --strategy single --strategy majority:n=16 --strategy adaptive:n=64,rule=beta \
    --problems 100 --bank "$bank"
show bank stat "$bank"

say "6. A real model on a benchmark that people know, replayed from recorded draws"
show demo real

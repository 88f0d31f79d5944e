"""Bad words end in one line; words of before are told what they are now."""

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pick", "--run", "nowhere", "--budget-layers", "3"], "holds no run"),
        (["benchmark", "--run", "nowhere"], "holds no run"),
        (["benchmark", "--model", "demo", "--drop", "1", "--batch", "x"],
         "--batch must be a whole number"),
        (["transfer", "--run", "nowhere", "--run", "nowhere", "--out", "x"], "holds no run"),
        (["information", "--model", "demo"], "give --run, or both"),
        (["lens", "--run", "nowhere", "--drop", "1"], "leave out --drop"),
        (["compare", "--model", "demo", "--task", "no.jsonl", "--out", "x"], "no such file"),
        (["finetune", "--model", "demo", "--task", "demo:facts", "--out", "x", "--schedule", "up"],
         "unknown schedule"),
        (["arms", "--model", "demo", "--task", "no.jsonl", "--out", "x"], "no such file"),
        (["transfer", "--runs", "a", "b", "--out", "x"], "--runs is now --run DIR --run DIR"),
        (["information", "--run", "a", "--examples", "9"], "--examples is now --limit N"),
        (["evaluate", "--model", "demo", "--task", "demo:facts", "--model-parallel", "2"],
         "--model-parallel is now --mesh data=-1,model=N"),
        (["evaluate", "--model", "demo", "--task", "demo:facts", "--mesh", "model=64"],
         "needs more than"),
        (["export", "--run", "a", "--format", "ggml"], "unknown format 'ggml'"),
    ],
)  # fmt: skip
def test_bad_words_end_in_one_line(failing, words, message):
    assert message in failing(*words)

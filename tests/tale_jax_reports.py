"""Data of reports of made-up searches; for tests."""

from tale_jax.elimination import SearchOptions, eliminate
from tale_jax.runs.verdicts import changes, summarise
from tale_jax.tasks import Answer

NASTY = {
    "script": "</title><script>window.harm = 1; alert(1)</script>",
    "picture": "<img src=x onerror='window.harm = 1'>",
    "attribute": '" onmouseover="window.harm = 1" style="position:fixed',
    "svg": "</svg><script>window.harm = 1</script><svg onload='window.harm = 1'>",
    "mathematics": '$x_{1}$ & "$\\frac{$" {{ 7 * 7 }} {% raw %}',
    "right to left": "\u202e\u2067abc\u05d0\u05d1 gnp.exe",
    "NUL": "a\x00b\x08\x1b[31mc",
    "surrogate": "a\ud800b\udcff",
    "long": "w" * 3000,
    "lines": "a\n\r\n\u2028b</pre></style><style>body { display: none }</style>",
    "comment": "<!-- <![CDATA[ ]]> --!> &#0; &#x202e;",
}


def run_data(layers=6, total=50, test=True, count=None, name="model", floor="baseline", **options):
    count = count or (lambda dropped: total - 10 + len(dropped) % 3 - 9 * (0 in dropped))
    settings = {
        "model": name,
        "task": name,
        "protocol": name,
        "num_layers": layers,
        "epsilon": 0.08,
        "floor": floor,
    }
    result = eliminate(
        lambda candidates: (count(dropped) for dropped in candidates),
        layers,
        total,
        SearchOptions(floor=floor, **options),
    )
    picks = (result.baseline, result.best, result.bsba)
    answers = {p.dropped: [i < 20 + len(p.dropped) for i in range(31)] for p in picks}
    rows = ("iteration", "layer", "correct")
    return {
        "summary": summarise(
            settings,
            result,
            answers if test else None,
            seconds=98765.4,
            compilations=54321,
            commands=[f"tale search --task {name}"],
        ),
        "trajectory": [
            {n: getattr(s, n) for n in (*rows, "dropped")} | {"total": total} for s in result.steps
        ],
        "candidates": [
            {n: getattr(c, n) for n in rows} | {"total": total} for c in result.candidates
        ],
    }


def whole_run(name="arc_easy", **options):
    """A report with all its parts: a null control, information, bounds, and changed questions."""
    data = run_data(name=name, **options)
    for candidate in data["candidates"]:
        candidate["bound"] = candidate["layer"] % 3 != candidate["iteration"] % 3
    said = {"baseline": "abcd" * 8, "best": "abdd" * 8, "bsba": "abda" * 8}
    answers = {
        ("test", pick): [Answer(letter, letter == "abcd"[i % 4]) for i, letter in enumerate(text)]
        for pick, text in said.items()
    }
    questions = {"test": [f"Which letter is number {i}? Answer:" for i in range(32)]}
    data["summary"]["changed"] = changes(answers, questions)
    data["summary"]["null_control"] = {
        "shuffles": 3, "gain": 0.04, "gains": [0.0, 0.02, 0.02], "mean_gain": 0.0133,
        "p_value": 0.25,
    }  # fmt: skip
    data["information"] = [
        {"model": model, "layer": layer, "entropy": 2.0, "same_states": 1.5, "examples": 100,
         "cross_validated": 0.2 * layer, "low": 0.1 * layer, "high": 0.3 * layer}
        for model in ("full", "without 3") for layer in range(-1, 6)
    ]  # fmt: skip
    return data

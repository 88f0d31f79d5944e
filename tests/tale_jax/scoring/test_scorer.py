"""Scores against a plain loop: one example at a time, no batches, whole logits."""

import dataclasses
import functools
from string import ascii_lowercase

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from attention.errors import InputError
from attention.transformer import Transformer, generate, keep_layers
from tale_jax.models import load_model
from tale_jax.scoring import programs, workers
from tale_jax.scoring.protocols import NotFiniteError
from tale_jax.scoring.runner import Runner
from tale_jax.scoring.scorer import Scorer
from tale_jax.tasks.examples import Example, Task
from tale_jax.tasks.prompts import encode_choices, encode_prompts

DROPS = [(), (2,), (0, 4)]


@pytest.fixture(scope="module")
def model(write_model, tmp_path_factory):
    return load_model(str(write_model(tmp_path_factory.mktemp("model") / "tiny")))


def random_task(count: int, generated: bool = False) -> Task:
    number = np.random.default_rng(7)

    def text(size: int) -> str:
        return "".join(number.choice(list(ascii_lowercase), size))

    def example(i: int) -> Example:
        prompt = text((11, 3, 0)[i % 3])
        if generated:
            return Example(prompt, None, text(2))
        return Example(prompt, (text(1), text(1) + "z", text(4)), int(number.integers(3)))

    return Task("random", tuple(map(example, range(count))), (example(0), example(1)))


def open_scorer(model, task, **how):
    return Scorer(model.config, model.params, model.tokenizer, task, **how)


@functools.partial(jax.jit, static_argnums=0)
def forward(config, params, tokens):
    return Transformer(config).apply({"params": params}, tokens)


def plain_scores(model, example: Example, dropped: tuple[int, ...]) -> list[float]:
    kept = tuple(i for i in range(model.config.num_hidden_layers) if i not in dropped)
    params = keep_layers(model.params, kept)
    scores = []
    for tokens, count in encode_choices(model.tokenizer, [example])[0]:
        # What follows a text changes nothing in it; one length is one program.
        padded = np.pad(tokens, (0, 47 - len(tokens)))
        logits = forward(model.config.keep_layers(kept), params, padded[None])[0]
        log_probs = jax.nn.log_softmax(logits)
        places = range(len(tokens) - count, len(tokens))
        scores.append(float(sum(log_probs[t - 1, tokens[t]] for t in places)))
    return scores


@pytest.mark.quick("loglikelihood-norm")
@pytest.mark.parametrize(
    "protocol", ["loglikelihood", "loglikelihood-norm", "loglikelihood-unconditional"]
)
def test_loglikelihood_is_that_of_a_plain_loop(model, protocol):
    task = random_task(13)
    scorer = open_scorer(model, task, protocol=protocol, batch_tokens=97)
    for dropped in DROPS:
        answers = scorer.answers("search", dropped)
        for example, answer in zip(task.search, answers, strict=True):
            scores = np.array(plain_scores(model, example, dropped))
            if protocol == "loglikelihood-norm":
                scores /= [len(choice) for choice in example.choices or ()]
            if protocol == "loglikelihood-unconditional":
                scores -= plain_scores(model, dataclasses.replace(example, prompt=""), dropped)
                if not example.prompt:  # all are nought, up to rounding
                    continue
            assert answer.prediction == scores.argmax()
            assert answer.correct == (scores.argmax() == example.answer)
        assert next(scorer.count([dropped])) == sum(answer.correct for answer in answers)


@pytest.mark.quick("11")  # a window asks for the places of keys
@pytest.mark.parametrize("window", [None, 11])
def test_decoding_is_that_of_a_plain_loop(model, window):
    """Also where the prompts' beginning and the layers below the first one dropped are shared."""
    config = dataclasses.replace(model.config, sliding_window=window)
    model = dataclasses.replace(model, config=config)
    task = random_task(7, generated=True)
    front = "the same words before all "
    examples = tuple(dataclasses.replace(e, prompt=front + e.prompt) for e in task.search)
    scorer = open_scorer(model, Task("t", examples), max_new_tokens=3)
    assert scorer._runner.programs.front is not None
    scorer.race([(3,)], [()], 0)  # orders the rows, whose states move along
    runs = []
    for dropped in DROPS:
        before = scorer.layers_run
        answers = scorer.answers("search", dropped)
        runs.append(scorer.layers_run - before)
        kept = [i for i in range(5) if i not in dropped]
        for example, answer in zip(examples, answers, strict=True):
            (tokens,) = encode_prompts(model.tokenizer, [example])
            padded, where = np.zeros((1, 40), int), np.zeros((1, 40), bool)  # one program
            padded[0, 40 - len(tokens) :], where[0, 40 - len(tokens) :] = tokens, True
            stops = [2, model.tokenizer.convert_tokens_to_ids("\n")]
            out = generate(
                model.config.keep_layers(kept),
                keep_layers(model.params, kept),
                jnp.array(padded),
                jnp.array(where),
                max_new_tokens=3,
                stop_tokens=stops,
            )
            ids = np.asarray(out.tokens)[np.asarray(out.where)]
            written = model.tokenizer.decode(ids, skip_special_tokens=True)
            assert answer.prediction == (written.strip() or None)
    assert runs[0] == 0 < runs[1] < runs[2]  # two layers are left above layer 2


def test_a_correct_written_answer_counts(model):
    task = random_task(5, generated=True)
    scorer = open_scorer(model, task, max_new_tokens=3)
    written = [answer.prediction for answer in scorer.answers("search", ())]
    right = tuple(
        Example(example.prompt, None, text or "?")
        for example, text in zip(task.search, written, strict=True)
    )
    scorer = open_scorer(model, Task("right", right), max_new_tokens=3)
    assert next(scorer.count([()])) == sum(bool(text) for text in written) > 0


def test_programs_depend_on_batch_shapes_alone(model):
    task = random_task(29)
    scorer = open_scorer(model, task, batch_tokens=211)
    expected = scorer.most_compilations
    list(scorer.count([()]))
    compiled = scorer.compilations
    seen: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: seen.append(name))
    list(scorer.count([(layer,) for layer in range(5)]))
    list(scorer.count([(0, layer) for layer in range(1, 5)]))
    scorer.answers("test", (3,))
    assert compiled <= scorer.compilations <= expected
    assert not [
        name for name in seen if "backend_compile" in name and scorer.compilations == compiled
    ]


def test_batch_sizes_do_not_change_answers(model):
    task = random_task(11)
    counts = {
        size: list(open_scorer(model, task, batch_tokens=size).count(DROPS))
        for size in (1, 51, 10007)
    }
    assert counts[1] == counts[51] == counts[10007]


def test_long_examples_are_left_out_and_counted(model):
    task = random_task(3)
    long = Example("a" * 80, ("b", "c"), 0)
    scorer = open_scorer(
        model,
        Task("t", (*task.search, long), (long, *task.search)),
    )
    assert scorer.too_long == 2
    assert [len(scorer.examples[split]) for split in ("search", "test")] == [3, 3]
    with pytest.raises(InputError, match="longer than the model's 61 positions"):
        open_scorer(model, Task("t", (long,)))


def test_nan_logits_are_refused(model):
    params = jax.tree.map(lambda leaf: leaf * jnp.nan, model.params)
    for generated in (False, True):
        scorer = Scorer(model.config, params, model.tokenizer, random_task(3, generated))
        with pytest.raises(NotFiniteError, match="NaN"):
            scorer.answers("search", ())


def test_a_nan_layer_that_is_dropped_does_not_leak(model):
    layers = jax.tree.map(lambda leaf: leaf.at[2].set(jnp.nan), model.params["layers"])
    broken = {**model.params, "layers": layers}
    task = random_task(11)
    good = open_scorer(model, task)
    bad = Scorer(model.config, broken, model.tokenizer, task)
    assert bad.answers("search", (2,)) == good.answers("search", (2,))
    assert all(answer.prediction is None for answer in bad.answers("search", (1,)))


def test_out_of_memory_halves_the_batches(model, monkeypatch):
    task = random_task(17)
    said: list[str] = []
    scorer = open_scorer(
        model,
        task,
        batch_tokens=300,
        on_message=said.append,
    )
    expected = list(open_scorer(model, task).count(DROPS))
    run = Runner.__call__

    def limited(runner, keep, arrays, part=None):
        if arrays.tokens.size > 60:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating")
        return run(runner, keep, arrays, part)

    monkeypatch.setattr(Runner, "__call__", limited)
    assert list(scorer.count(DROPS)) == expected
    assert said == [
        "out of memory: batches now hold 150 tokens",
        "out of memory: batches now hold 75 tokens",
    ]
    assert scorer._runner.cache_bytes == 2**30  # 4 GiB, halved twice


@pytest.mark.quick("True")
@pytest.mark.parametrize("raced", [False, True])
def test_memory_that_runs_out_for_good_or_another_error_ends_the_work(model, monkeypatch, raced):
    scorer = open_scorer(model, random_task(17), batch_tokens=100)

    def ask():
        return scorer.race(DROPS, [()], 0) if raced else list(scorer.count(DROPS))

    expected = ask()
    for words in ("RESOURCE_EXHAUSTED: nothing fits", "INTERNAL: something else"):

        def broken(*_, words=words):
            raise jax.errors.JaxRuntimeError(words)

        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match=words):
            patch.setattr(Runner, "__call__", broken)
            ask()
    assert ask() == expected


def test_the_whole_model_is_run_once(model, monkeypatch):
    scorer = open_scorer(model, random_task(17))
    expected = sum(answer.correct for answer in scorer.answers("search", ()))
    monkeypatch.setattr(Runner, "__call__", None)
    assert list(scorer.count([(), ()])) == [expected, expected]
    scorer.answers("search", ())


def test_an_option_that_the_compiler_does_not_know_is_left_out(model, monkeypatch):
    task = random_task(5)
    expected = open_scorer(model, task).answers("search", ())
    for name in ("CPU_OPTIONS", "SMALL_OPTIONS"):
        monkeypatch.setattr(programs, name, {"xla_of_another_time": "1"})
    found = open_scorer(model, task).answers("search", ())
    assert found == expected


@pytest.mark.quick("the same words before all -1")
@pytest.mark.parametrize("cache_gib", [1, 0, 23 * 8 * 22 * 4 * 9 / 2**30])
@pytest.mark.parametrize("front", ["", "the same words before all "])
def test_races_choose_what_counting_chooses(model, cache_gib, front, check_race):
    task = random_task(47)
    examples = tuple(dataclasses.replace(e, prompt=front + e.prompt) for e in task.search)
    scorer = open_scorer(
        model,
        Task("t", examples),
        batch_tokens=101,
        cache_gib=cache_gib,
    )
    check_race(scorer, 5, 47)


def test_a_round_begins_where_the_round_before_it_ended(model, monkeypatch):
    """What is run is each sequence of layers once, which is counted here by hand."""
    monkeypatch.setattr(workers, "SIDE_BY_SIDE", 1)  # two might run the same at the same moment
    scorer = open_scorer(model, random_task(47), batch_tokens=101)
    asked: list[tuple[int, tuple[int, ...]]] = []
    run = Runner.__call__

    def noted(runner, keep, arrays, part=None):
        if part is not None:
            kept = [i for i, halves in enumerate(keep) if any(halves)]
            asked.append((arrays.tokens.size, (part, *kept[:-1])))
        return run(runner, keep, arrays, part)

    monkeypatch.setattr(Runner, "__call__", noted)
    begin, begun = scorer._runner.programs.begin, []
    monkeypatch.setattr(
        scorer._runner.programs, "begin", lambda arrays: begun.append(1) or begin(arrays)
    )
    next(scorer.count([()]))
    scorer.race([(i,) for i in range(5)], [()], 0)
    before = scorer.layers_run
    once = {(size, path[:n]) for size, path in asked for n in range(2, len(path) + 1)}
    assert before == sum(size for size, _ in once)  # those of the whole model serve the race
    scorer.race([(i, 3) for i in range(3)], [(3,)], 0)
    both = {(size, path[:n]) for size, path in asked for n in range(2, len(path) + 1)}
    assert scorer.layers_run - before == sum(size for size, _ in both - once)
    assert len(begun) == 2 * len(
        {path[0] for _, path in asked}
    )  # before they are in order, and then


def test_a_shared_beginning_changes_no_answer(model):
    task = random_task(13)
    front = "the same words before all "
    examples = tuple(dataclasses.replace(e, prompt=front + e.prompt) for e in task.search)
    scorer = open_scorer(model, Task("t", examples))
    assert scorer._runner.programs.front is not None
    for dropped in DROPS:
        for example, answer in zip(examples, scorer.answers("search", dropped), strict=True):
            assert answer.prediction == np.argmax(plain_scores(model, example, dropped))

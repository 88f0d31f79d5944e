"""What is wrong with a command line is said in one line, and nothing is written."""

import pytest

from icl.cli import main

BAD = {
    "train --preset linear-1l1ah --inputs normal:0 --out OUT": "normal:MEAN,DEVIATION",
    "train --preset linear-1l1ah --inputs uniform:2,1 --out OUT": "LOW must be less",
    "train --preset polynomial-1l1ah --functions polynomial:degree=-1 --out OUT": "too small",
    "train --preset linear-1l3ah --out OUT": "3 heads do not divide the hidden size 64",
    "train --preset cubic-1l1ah --out OUT": "unknown preset",
    "train --preset no_module:Task-1l1ah --out OUT": "cannot be imported",
    "train --preset linear-1l1ah --steps 0 --out OUT": "--steps must be at least 1",
    "train --preset linear-1l1ah --dispatch 7 --out OUT": "multiples of --dispatch 7",
    "train --preset linear-1l1ah --point-curriculum 1:99:2:3 --out OUT": "beyond 41",
    "train --preset linear-1l1ah --out RUN": 'preset was "linear-2l1ah" and is now "linear-1l1ah"',
    "evaluate --out OUT": "nothing to evaluate",
    "evaluate --predictors nearest --out OUT": "unknown predictor",
    "evaluate --predictors zero --eval-set OUT/none.npz --out OUT": "there is no file",
    "evaluate --predictors zero --sweep degree=2 --out OUT": "no degree to sweep",
    "evaluate --predictors zero --sweep speed=2 --out OUT": "NAME=VALUES",
    "evaluate --predictors zero --inputs gauss:0,1 --out OUT": "no distribution",
    "evaluate --predictors zero --count 0 --out OUT": "at least 1",
    "evaluate --predictors zero --prompts 0 --out OUT": "at least 1",
    "evaluate --run OUT --out OUT": "holds no run of icl train",
    "evaluate --run zoo:none-of-these --out OUT": "no model 'none-of-these' comes along",
    "evaluate --predictors zero --task nothing --out OUT": "unknown task",
    "saturation --run RUN --count 1 --out OUT": "at least 2 slopes",
    "saturation --run RUN --seed 5 --out OUT": "seeds 11 to 11",
    "train --preset linear-1l1ah --hidden-size -4 --out OUT": "--hidden-size must be at least 1",
    "train --preset linear-1l1ah --precision tf32 --out OUT": "unknown matrix precision 'tf32'",
    "train --preset linear-1l1ah --learning-rate nan --out OUT": "--learning-rate must be above 0",
    "train --preset linear-1l1ah --learning-rate 0 --out OUT": "--learning-rate must be above 0",
    "train --preset every-1l1ah --point-curriculum 1:3:1:9 --out OUT": "no point curriculum",
    "train --preset every-1l1ah --functions uniform:0,1 --out OUT": "no functions",
    "train --preset noisy-1l1ah --functions noisy:noise=nan --out OUT": "noise=nan",
    "train --preset linear-1l1ah --out RUN/settings.json": "is a file",
    "evaluate --predictors zero --out RUN/settings.json/x": "is a file",
    "evaluate --predictors zero --eval-set RUN/settings.json --out OUT": "no evaluation set",
    "roots --run RUN --low 2 --high 1": "--low must be less",
    "evaluate --published --predictors zero --sweep sigma=1:2 --out OUT": "of its own",
    "evaluate --predictors zero --sweep sigma=3:1 --out OUT": "FIRST must not be more",
    "evaluate --predictors zero --sweep sigma=1 --sweep sigma=2 --out OUT": "swept twice",
    "evaluate --predictors zero --sweep inputs=nan --out OUT": "positive",
    "evaluate --predictors zero --sweep deviant=3:inf --out OUT": "finite",
    "evaluate --predictors zero --points 0 --out OUT": "at least 1",
    "ask --model m --functions every --coefficients normal:0,1 --out OUT": "no coefficients",
    "ask --model m --functions every --sweep degree=1 --out OUT": "NAME=VALUES",
    "ask --model m --functions every --points 3 --out OUT": "more than 3 points",
    "ask --model m --functions mix --no-labels --out OUT": "nothing tells",
    "ask --model m --functions some --predictors knn-3 --out OUT": "unknown predictor",
    "ask --model m --functions some --run RUN --out OUT": "learned affine, and is asked some",
    "ask --model m --no-labels --out OUT": "affine has no labels",
    "ask --model m --functions linear:d=2 --out OUT": "of one number",
    "ask --model m --endpoint ftp://x --out OUT": "http(s)",
    "ask --model OUT/nothing --count 1 --out OUT": "nothing",
    "ask --model m --count 0 --out OUT": "at least 1",
    "ask --model m --decimals -1 --out OUT": "--decimals must be at least 0",
}


@pytest.mark.parametrize("words", BAD)
def test_errors_in_one_line(words, run, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(words.replace("RUN", str(run)).replace("OUT", str(out)).split())
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1 and said.startswith("icl: ")
    assert BAD[words] in said
    assert not out.exists() or not any(out.iterdir())

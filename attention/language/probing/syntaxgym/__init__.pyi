from .predictions import Prediction as Prediction
from .predictions import read_prediction as read_prediction
from .suites import Suite as Suite
from .suites import measure_suites as measure_suites
from .suites import read_suites as read_suites

__all__ = ["Prediction", "Suite", "measure_suites", "read_prediction", "read_suites"]

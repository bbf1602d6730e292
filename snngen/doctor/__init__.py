"""Where a network loses what the CNN knows: by cause, by layer, by channel, and what to try."""

from snngen.doctor.advice import Advice, advise
from snngen.doctor.channels import Finding
from snngen.doctor.diagnosis import Answers, Diagnosis, Effect, diagnose, worst
from snngen.doctor.given import Altered, altered, check_layers

__all__ = [
    "Advice",
    "Altered",
    "Answers",
    "Diagnosis",
    "Effect",
    "Finding",
    "advise",
    "altered",
    "check_layers",
    "diagnose",
    "worst",
]

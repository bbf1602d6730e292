"""Where a network loses what the CNN knows: by cause, by layer, by channel, and what to try."""

from snngen.doctor.channels import Finding
from snngen.doctor.diagnosis import Answers, Diagnosis, Effect, LayerErrors, diagnose, worst

__all__ = ["Answers", "Diagnosis", "Effect", "Finding", "LayerErrors", "diagnose", "worst"]

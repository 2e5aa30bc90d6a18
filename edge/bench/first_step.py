"""A station's start, cut short: `python -m edge.bench.first_step CLIP TASK` tells how it got on.

One JSON line of monotonic seconds: modules imported, model loaded, first probabilities decided.
"""

from __future__ import annotations

import json
import sys
from time import monotonic

import numpy as np

from edge.cameras.sources import open_source
from edge.pipeline import StepStream
from industryasm.vocabulary import load_task
from models.card import shipped_model
from models.runtime import encoder_of, load_model


def main(clip: str, task_id: str) -> None:
    """Watch `clip` until the first frames are decided."""
    imported_s = monotonic()
    model = load_model(shipped_model(task_id), load_task(task_id))
    encoder = encoder_of(model.card)
    loaded_s = monotonic()
    stream = StepStream(model)
    size = (encoder.width, encoder.height)
    with open_source(clip, rate_hz=model.card.rate_hz, size=size) as source:
        for frame in source:
            feature = encoder.encode(frame.image[np.newaxis])[0]
            probabilities, _ = stream.push(feature, frame.time_s)
            if len(probabilities):
                break
        else:
            stream.close()
    print(json.dumps({"imported": imported_s, "loaded": loaded_s, "decided": monotonic()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

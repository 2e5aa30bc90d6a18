"""Arrays in, values out: encoders, temporal networks, decoder, deviations, metrics, training."""

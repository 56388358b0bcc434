"""From noise to data in few evaluations of a network. A sampler knows no network."""

"""A small text-to-image model from nothing: what `make picture` prepares and reports, everything but the training.

python -m mdctl.demo picture prepare     a package of emoji -> pictures with captions, codec, text encoder: `picture`
python -m mdctl.demo picture report      which picture each sample is nearest to, beside chance and an untrained model
"""

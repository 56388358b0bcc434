"""The demo: real clips, a model folder without pretrained weights, and an honest report of what training made of them.

python -m mdctl.demo prepare     films -> clips with captions, codec, text encoder: the folder `demo`
python -m mdctl.demo report      samples against clips, beside what an untrained model and others reach
"""

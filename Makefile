# What a person runs from a clean clone. `make help` lists the targets.
#
# Each environment is installed from one hashed lock, and again only when that lock changes: the stamp in it is
# named for the lock's checksum. Python is the first candidate that runs and reports 3.12 or later.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHONS := python3.14 python3.13 python3.12 python3 python \
	$(wildcard $(HOME)/.pyenv/versions/*/bin/python) \
	$(wildcard $(HOME)/.local/share/uv/python/*/bin/python3) \
	$(wildcard $(HOME)/.local/share/mise/installs/python/*/bin/python) \
	$(wildcard $(HOME)/.asdf/installs/python/*/bin/python) \
	$(wildcard $(HOME)/.rye/py/*/bin/python3) \
	$(wildcard $(HOME)/miniconda3/envs/*/bin/python) \
	$(wildcard $(HOME)/miniforge3/envs/*/bin/python) \
	$(wildcard /opt/homebrew/bin/python3.1?) $(wildcard /usr/local/bin/python3.1?)
ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))

# $(call stamp,ENVIRONMENT,LOCK): a file that is there when the environment holds what the lock and pyproject say
stamp = $(1)/installed-$(shell cat requirements/$(2).lock pyproject.toml | cksum | tr ' ' '-')

TEST := $(call stamp,.venv,test)
TPU := $(call stamp,.venv-tpu,tpu)
PARITY := $(call stamp,.venv-parity,parity)
XPK := $(call stamp,.venv-xpk,xpk)
RUN := .venv/bin/

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do \
		printf '  %-12s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: $(TEST) ## make .venv, which the other targets do by themselves

.PHONY: demo
demo: $(TEST) ## train a small Wan on real clips, then sample videos from it
	$(RUN)python -m mdctl.demo prepare
	$(RUN)mdctl submit train-wan --local
	$(RUN)mdctl generate --local
	$(RUN)python -m mdctl.demo report

UNTRAINED := outputs/picture-untrained
HELD_OUT := outputs/picture-held-out

.PHONY: picture
picture: $(TEST) ## train a small text-to-image model on 192 pictures that npm fetches, then sample it: half an hour
	$(RUN)python -m mdctl.demo picture prepare
	$(RUN)mdctl submit train-sd15 --local
	$(RUN)mdctl generate --model sd-tiny --local
	$(RUN)mdctl generate --model sd-tiny --local --output-dir $(UNTRAINED) \
		model.checkpoint=null model.initialisation=random model.weights=picture/model
	$(RUN)mdctl generate --model sd-tiny --local --output-dir $(HELD_OUT) \
		--prompts-file picture/held_out.txt sampling.samplesPerPrompt=8
	$(RUN)python -m mdctl.demo picture report --untrained $(UNTRAINED) --held-out $(HELD_OUT)

.PHONY: test
test: check ## everything that CI runs
	$(RUN)pytest -n 2

.PHONY: check
check: lint ## the linter, the formatter, the type checker, the arrows between the rooms
	$(RUN)ruff format --check .
	$(RUN)mypy
	$(RUN)lint-imports

.PHONY: lint
lint: $(TEST) ## the linter only
	$(RUN)ruff check .

.PHONY: fmt
fmt: $(TEST) ## format, and fix what the linter can
	$(RUN)ruff format .
	$(RUN)ruff check --fix .

.PHONY: cluster
cluster: $(TEST) ## start the test cluster: a real control plane with fake nodes; prints its kubeconfig
	$(RUN)python -m tests.cluster.plane up

.PHONY: cluster-down
cluster-down: $(TEST) ## stop it
	$(RUN)python -m tests.cluster.plane down

.PHONY: image
image: $(TEST) ## build an image with buildah: TARGET=workload-tpu, BASE_IMAGE=one that is there (else Debian, made here)
	$(RUN)python -m tests.real.image --target $(or $(TARGET),workload-tpu) $(if $(BASE_IMAGE),--base $(BASE_IMAGE))

.PHONY: cluster-real
cluster-real: $(TEST) ## start a cluster whose nodes run containers, and our image on them (root on Linux); about 2 GiB
	$(RUN)python -m tests.real up

.PHONY: cluster-real-down
cluster-real-down: $(TEST) ## stop it, and leave nothing of it
	$(RUN)python -m tests.real down

.PHONY: test-real
test-real: $(TEST) ## jobs from end to end, in real pods on real nodes
	$(RUN)pytest -m real tests/real

NETWORKS := unet clip autoencoder_kl controlnet wan wan_vae umt5 stable_diffusion
ON_GPU = MDCTL_TEST_PLATFORMS=cuda,cpu $(or $(PYTHON),$(RUN)python) -m pytest

# The second asks for full precision by hand: those tests call layers one by one, outside of what a job traces.
.PHONY: test-gpu
test-gpu: ## on an NVIDIA GPU, with a PYTHON that has mdctl[gpu] and what tests take; then networks beside diffusers
	$(ON_GPU) -m gpu tests/gpu
	JAX_DEFAULT_MATMUL_PRECISION=highest $(ON_GPU) $(NETWORKS:%=tests/models/%/test_parity.py)

.PHONY: test-cluster
test-cluster: $(TEST) ## every case on the test cluster: all slices, all ways of failing
	$(RUN)pytest -m 'not heavy and not real' -n 2 tests/cluster

.PHONY: burst
burst: $(TEST) ## 500 jobs at once on the test cluster: each ends, once; requests, and how long `mdctl list` takes
	$(RUN)python benchmarks/burst.py

.PHONY: parity
parity: $(TEST) $(PARITY) ## compare with diffusers and transformers, run live
	$(RUN)python -m tests.parity

.PHONY: xpk
xpk: $(XPK) ## install xpk beside mdctl, for --via xpk

.PHONY: xpk-test
xpk-test: $(TEST) $(XPK) ## compare what mdctl renders with what xpk would create
	$(RUN)pytest -m xpk tests/xpk

.PHONY: fit
fit: $(TPU) ## compile train-wan for v5p-64 with libtpu and print whether it fits
	.venv-tpu/bin/python benchmarks/fit.py

.PHONY: heavy
heavy: $(TEST) ## tests that need minutes or gigabytes
	$(RUN)pytest -m heavy

.PHONY: bench
bench: $(TEST) $(PARITY) ## ratios against the reference and against the bare imports
	$(RUN)python benchmarks/cli_startup.py
	$(RUN)python benchmarks/wan_step.py
	$(RUN)python benchmarks/stable_diffusion.py

.PHONY: lock
lock: $(TEST) ## resolve again and write the locks; UPGRADE=1 takes the newest versions
	requirements/lock.sh $(if $(UPGRADE),--upgrade)

.venv/installed-%:
	$(call install,.venv,test)
	$(call install_mdctl,.venv)
	@touch $@

.venv-tpu/installed-%:
	$(call install,.venv-tpu,tpu)
	$(call install_mdctl,.venv-tpu)
	@touch $@

.venv-parity/installed-%:
	$(call install,.venv-parity,parity)
	@touch $@

# by uv, for pip takes a pinned package with an extra for one that has no pin
.venv-xpk/installed-%: | $(TEST)
	$(RUN)uv venv --quiet --clear --python $(RUN)python .venv-xpk
	$(RUN)uv pip install --quiet --python .venv-xpk/bin/python --require-hashes --requirement requirements/xpk.lock
	@touch $@

# $(call install,ENVIRONMENT,LOCK): make the environment where there is none, and install exactly the lock's hashes
define install
	@test -x $(1)/bin/python || { \
		found=; for python in $(PYTHONS); do \
			"$$python" -c '$(ENOUGH)' >/dev/null 2>&1 && found=$$python && break; \
		done; \
		test -n "$$found" || { echo "make: found no Python of 3.12 or later with venv and ensurepip." \
			"Install one (Debian: python3 and python3-venv), or name it: make PYTHONS=/path/to/python" >&2; exit 1; }; \
		echo "$(1): $$("$$found" --version), $$(command -v "$$found")"; \
		"$$found" -m venv $(1); }
	@rm -f $(1)/installed-*
	$(1)/bin/python -m pip install --quiet --require-hashes --requirement requirements/$(2).lock
endef

# $(call install_mdctl,ENVIRONMENT): install this folder as it is and stays, with what the lock brought
define install_mdctl
	$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
endef

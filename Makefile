# Two commands do everything on a fresh machine: `make run` opens the studio, `make test` proves it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What Qt needs to paint off-screen, what its xcb platform adds, how sound comes in; and what the tests drive
# the window with: a screen, a mouse, a virtual microphone, and a voice for it.
SYSTEM := libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3 libglib2.0-0 \
	libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-image0 libxcb-randr0 \
	libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libx11-xcb1 \
	libportaudio2
SYSTEM_TEST := xvfb xdotool pulseaudio pulseaudio-utils libasound2-plugins espeak-ng
ifeq ($(shell command -v $(PYTHON)),/usr/bin/python3)
SYSTEM += python3-venv
endif

.PHONY: run test check bench clean system system-test

run: system $(VENV)/.installed
	$(BIN)/adapter-studio

test: system-test $(VENV)/.installed-dev check
	$(BIN)/python -m pytest -n 2

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m bench tests/bench -s

# torch is named first, with its pin: another package's looser wish would otherwise bring a second, larger build.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet "torch>=2.11,<2.14"
	$(BIN)/pip install --quiet "torch>=2.11,<2.14" -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet "torch>=2.11,<2.14" -e ".[dev]"
	@touch $@

# Installs missing Debian packages where that is permitted, and otherwise says exactly what to type.
define install_packages
	@if command -v dpkg-query >/dev/null; then \
		missing=""; \
		for p in $(1); do \
			dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -q '^installed' || missing="$$missing $$p"; \
		done; \
		if [ -n "$$missing" ]; then \
			if [ "$$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo"; else as="none"; fi; \
			if [ "$$as" = none ]; then \
				echo "These system packages are missing. Type: sudo apt-get install --no-install-recommends$$missing"; \
			else \
				echo "Installing system packages:$$missing"; \
				$$as apt-get update -qq && \
				DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
			fi; \
		fi; \
	else \
		echo "This is not a Debian or Ubuntu system: the window needs the libraries that Debian calls $(1)"; \
	fi
endef

system:
	$(call install_packages,$(SYSTEM))

system-test:
	$(call install_packages,$(SYSTEM) $(SYSTEM_TEST))

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

# Shared by the scripts here: find what is needed, make .venv, build. Sourced.
# Everything is said on stderr: stdout belongs to what is run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
PYTHON=$VENV/bin/python

say() { printf '%s\n' "$*" >&2; }

# stop WHAT DEBIAN-COMMAND MAC-COMMAND: say what is missing and how to get it.
stop() {
  say "$(basename "$0"): $1"
  if [ "$(uname)" = Darwin ]; then say "  install it with: $3"; else
    say "  install it with: $2"
    say "  (Debian and Ubuntu; elsewhere the package of the same purpose)"
  fi
  exit 1
}

# --- what the machine must have ----------------------------------------------

# A program that needs C++20 as we use it; -fsyntax-only asks nothing but that.
cxx20='#include <concepts>
#include <span>
#include <version>
template <std::integral T> consteval T twice(T x) { return 2 * x; }
static_assert(twice(2) == 4);
int main() { return static_cast<int>(std::span<int>().size()); }'

need_compiler() {
  local wanted="a C++20 compiler is needed (g++ 12 or later, clang++ 15 or later)"
  local install="apt-get install g++" candidate version found="none was found"
  for candidate in ${CXX:-} c++ g++ clang++; do
    command -v "$candidate" >/dev/null || continue
    version=$("$candidate" -dumpversion 2>/dev/null) || version=unknown
    found="$candidate is of version $version"
    if printf '%s' "$cxx20" | "$candidate" -std=c++20 -x c++ -fsyntax-only - \
      2>/dev/null; then
      if "$candidate" --version | grep -qi clang || [ "${version%%.*}" -ge 12 ]
      then
        export CXX=$candidate
        return
      fi
    fi
  done
  stop "$wanted; $found" "$install" "xcode-select --install"
}

# The newest Python that has its headers and can make a venv becomes BASE_PYTHON.
need_python() {
  local candidate found="" lacking=""
  # All of each name on the path: an activated .venv is first, and no base for
  # itself.
  for candidate in $(type -ap ${FLASHLIGHT_PYTHON:-} python3 python3.14 \
    python3.13 python3.12 python3.11 python3.10); do
    [[ $candidate != "$VENV"/* ]] || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
      2>/dev/null || continue
    found=$candidate
    if ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
      lacking=venv
    elif ! "$candidate" -c 'import os, sys, sysconfig
sys.exit(not os.path.isfile(sysconfig.get_path("include") + "/Python.h"))'; then
      lacking=headers
    else
      BASE_PYTHON=$candidate
      return
    fi
  done
  case $lacking in
    venv) stop "$found cannot make virtual environments (no module ensurepip)" \
      "apt-get install python3-venv" "brew install python" ;;
    headers) stop "$found has no headers (Python.h)" \
      "apt-get install python3-dev" "brew install python" ;;
    *) stop "Python 3.10 or later is needed; none was found" \
      "apt-get install python3 python3-dev python3-venv" "brew install python" ;;
  esac
}

has_doctest() {
  local homebrew=/opt/homebrew/include
  printf '#include <doctest/doctest.h>\n' |
    "${CXX:-c++}" -std=c++20 -x c++ -fsyntax-only -isystem "$homebrew" - 2>/dev/null
}

# The C++ tests' framework is in no Python package. A CI machine's root may
# install it; a person is asked to.
need_doctest() {
  has_doctest && return
  if [ "${CI:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing doctest-dev"
    apt-get update -qq >&2 && apt-get install -y -qq doctest-dev >&2
    has_doctest && return
  fi
  stop "doctest (doctest/doctest.h) is needed for the C++ tests" \
    "apt-get install doctest-dev" "brew install doctest"
}

# --- .venv -------------------------------------------------------------------

# The stamp is written last and names what was installed: a .venv without it is
# half made, one with another was made for other requirements.
wanted_stamp() {
  cat "$ROOT/pyproject.toml" "$ROOT/requirements.txt" | cksum
  echo "$ROOT"
}

venv_is_good() {
  [ "$(cat "$VENV/stamp" 2>/dev/null)" = "$(wanted_stamp)" ] && [ -x "$PYTHON" ]
}

make_venv() {
  say "making .venv (its packages are in pyproject.toml and requirements.txt)"
  rm -rf "$VENV"
  "$BASE_PYTHON" -m venv "$VENV" >&2
  pip install -r "$ROOT/requirements.txt"
  configure
  compile # before pip does so: its compiler messages are hidden
  pip install --no-build-isolation -e "$ROOT[dev]"
  wanted_stamp >"$VENV/stamp"
}

pip() {
  "$PYTHON" -m pip --disable-pip-version-check --quiet "$@" >&2
}

# --- the build ---------------------------------------------------------------

BUILD=$ROOT/build/release
# For pip's own run of CMake, too: the same options, or all is compiled again.
export FLASHLIGHT_BUILD_TESTS=OFF FLASHLIGHT_WERROR=ON

configure() {
  (cd "$ROOT" && PATH="$VENV/bin:$PATH" cmake --preset release \
    -DPython_EXECUTABLE="$PYTHON" \
    -DFLASHLIGHT_BUILD_TESTS="$FLASHLIGHT_BUILD_TESTS") >&2
}

compile() {
  (cd "$ROOT" && PATH="$VENV/bin:$PATH" cmake --build "$BUILD") >&2
}

# Make .venv, and configure the build, where that is still to be done.
set_up() {
  if ! venv_is_good; then
    need_compiler
    need_python
    make_venv
  elif ! [ -f "$BUILD/build.ninja" ]; then
    need_compiler
    configure
  fi
}

# Bring the libraries up to date; silent unless that fails.
compile_quietly() {
  local log
  if ! log=$(compile 2>&1); then
    say "$log"
    say "$(basename "$0"): the build failed"
    exit 1
  fi
}

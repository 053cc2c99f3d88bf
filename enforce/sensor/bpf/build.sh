#!/bin/sh
# Compiles the programs. It needs clang, llvm-strip and the headers of libbpf
# (Debian: clang llvm libbpf-dev). *_old.o is for kernels before 6.2.
set -eu
cd "$(dirname "$0")"
compile() { # compile SOURCE OBJECT FLAGS
	source=$1 object=$2
	shift 2
	clang -O2 -g -target bpf -mcpu=v3 -Wall -Werror -I. -fdebug-prefix-map="$PWD"=. "$@" -c "$source.bpf.c" -o "$object.o"
	llvm-strip -g "$object.o"
}
for name in proc; do
	compile $name $name -DDIRECT
	compile $name ${name}_old
done

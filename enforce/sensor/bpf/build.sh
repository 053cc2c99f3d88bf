#!/bin/sh
# Compiles the programs. It needs clang, llvm-strip and the headers of libbpf
# (Debian: clang llvm libbpf-dev). *_old.o is for kernels before 6.2, *_oldest.o
# for those before 5.17.
set -eu
cd "$(dirname "$0")"
compile() { # compile SOURCE OBJECT FLAGS
	source=$1 object=$2
	shift 2
	clang -O2 -g -target bpf -mcpu=v3 -Wall -Werror -I. -fdebug-prefix-map="$PWD"=. "$@" -c "$source.bpf.c" -o "$object.o"
	llvm-strip -g "$object.o"
}
# Older verifiers (6.1, not 6.12) want a loop to be closed by a jump, never by falling into its head.
old='-mllvm -disable-block-placement'
for name in proc net lsm; do
	compile $name $name -DDIRECT
	compile $name ${name}_old $old
done
for arch in amd64:x86 arm64:arm64; do # registers have names of the architecture
	compile sys sys_${arch%:*} -DDIRECT -D__TARGET_ARCH_${arch#*:}
	compile sys sys_${arch%:*}_old $old -D__TARGET_ARCH_${arch#*:}
	compile sys sys_${arch%:*}_oldest $old -DOLDEST -D__TARGET_ARCH_${arch#*:}
done
sha256sum ./*.c ./*.h build.sh >sources.sum # a test compares them

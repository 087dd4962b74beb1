#!/bin/sh
# The linker for `make tsan` with Debian's compiler: adds the runtime that rustup's brings along. A few
# functions that it would intercept are not to be linked any more; nobody calls them.
exec cc "$@" -Wl,--whole-archive "$TSAN_RUNTIME" -Wl,--no-whole-archive,--export-dynamic,--no-as-needed \
    -Wl,--unresolved-symbols=ignore-in-object-files -lrt -ldl -lm -lpthread -lc -l:libc_nonshared.a

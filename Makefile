# SPDX-License-Identifier: Apache-2.0
#
# make            every program, in build/
# make demo       the main job, shown in a pod-like namespace (as root)
# make check      all tests, plain and under ASan and UBSan (as root)
# make peer       the rules against a model of Istio's decisions, by what happens to real packets, whole (as root)
# make static     every program as one file that needs no library, in build/static/; on Debian 12 as root
# make e2e        the real runtimes (libcni, podman, containerd) with the static plugin (as root, on Debian 12)
# make fuzz       each fuzz target for FUZZ_SECONDS (60), with clang's libFuzzer
# make soak       the proxy under a mixed load for SOAK_SECONDS (300; as root); make check has ten seconds of it
# make bench      speed and memory beside nft, haproxy and nginx, as ratios (as root)
# make lint       clang-tidy, cppcheck, shellcheck
# make install    DESTDIR and PREFIX are honoured; the plugin goes to CNIDIR
# make deps       Debian packages that the above need
#
# B=DIR builds elsewhere, SANITIZE=1 with ASan and UBSan, WERROR=1 makes warnings errors, V=1 shows the commands,
# ROOT=DIR keeps the root of Debian 13 elsewhere.

B ?= build
ROOT ?= $(B)/root
PREFIX ?= /usr/local
CNIDIR ?= /opt/cni/bin
PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g

REDIRECT_PACKAGES := libnftnl libmnl
CNI_PACKAGES := json-c
POLICY_PACKAGES := yaml-0.1
DNS_PACKAGES := libcares
TLS_PACKAGES := libssl libcrypto
TEST_PACKAGES := cmocka

# Debian 12 has llhttp as source only.
LLHTTP := $(shell $(PKG_CONFIG) --exists libllhttp && echo libllhttp)
LLHTTP_SOURCE ?= /usr/share/llhttp
LLHTTP_INCLUDE ?= /usr/share/include/llhttp

# What the code needs, whatever a packager puts into CFLAGS.
override CFLAGS += -std=gnu11 -D_GNU_SOURCE -I. -MMD -MP -fPIE -pthread
override CFLAGS += -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings
override LDFLAGS += -pthread -Wl,-z,relro,-z,now,-z,noexecstack
ifdef STATIC
# Addresses that move cost a table of relocations, which packed is a thirtieth of what it was.
override CFLAGS += -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
override LDFLAGS += -static-pie -Wl,--gc-sections,-z,pack-relative-relocs -s
override PKG_CONFIG += --static
else
override LDFLAGS += -pie
endif
ifdef SANITIZE
override CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=address,undefined
else
override CFLAGS += -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2
endif
ifdef FUZZ
override CFLAGS += -fsanitize=fuzzer-no-link
endif
ifdef WERROR
override CFLAGS += -Werror
endif
ifndef V
Q := @
say = @printf '  %-7s %s\n' $(1) $(2);
endif

PROGRAMS := $(B)/weir-cni $(B)/weir-init $(B)/weir-proxy

# Without llhttp's own warnings.
LLHTTP_CFLAGS := $(if $(LLHTTP),$(shell $(PKG_CONFIG) --cflags libllhttp),-isystem $(LLHTTP_INCLUDE))

.PHONY: all static deps check check-tests http-tests fuzz-programs demo e2e peer fuzz soak bench lint install clean cflags
all: $(PROGRAMS)

# --- libraries: one a folder; a program's library is its folder without main.c, so that tests can link it

sources = $(sort $(filter-out %/main.c,$(wildcard $(addsuffix /*.c,$(1)))))
objects = $(patsubst %.c,$(B)/obj/%.o,$(call sources,$(1)))

BASE_OBJECTS := $(call objects,redirect/base)
REDIRECT_OBJECTS := $(call objects,redirect/plan redirect/nft redirect/kernel redirect/iptables)
CNI_OBJECTS := $(call objects,cni)
INIT_OBJECTS := $(call objects,init)
POLICY_OBJECTS := $(call objects,proxy/policy)
HTTP_OBJECTS := $(call objects,proxy/http)
DNS_OBJECTS := $(call objects,proxy/dns)
PROXY_OBJECTS := $(call objects,proxy/net proxy/log)
TLS_OBJECTS := $(call objects,proxy/tls)

ifdef STATIC
# The plugin stays below 1 MB, and is no slower for it.
$(B)/obj/cni/main.o $(CNI_OBJECTS) $(REDIRECT_OBJECTS): override CFLAGS += -Os
endif

$(B)/libbase.a: $(BASE_OBJECTS)
$(B)/libredirect.a: $(REDIRECT_OBJECTS)
$(B)/libcni.a: $(CNI_OBJECTS)
$(B)/libinit.a: $(INIT_OBJECTS)
$(B)/libpolicy.a: $(POLICY_OBJECTS)
$(B)/libhttp.a: $(HTTP_OBJECTS)
$(B)/libllhttp.a: $(patsubst $(LLHTTP_SOURCE)/%.c,$(B)/obj/llhttp/%.o,$(wildcard $(LLHTTP_SOURCE)/*.c))
$(B)/libdns.a: $(DNS_OBJECTS)
$(B)/libproxy.a: $(PROXY_OBJECTS)
$(B)/libtls.a: $(TLS_OBJECTS)

$(B)/obj/proxy/http/codec.o: override CFLAGS += $(LLHTTP_CFLAGS)

$(B)/%.a:
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

$(B)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(B)/obj/llhttp/%.o: $(LLHTTP_SOURCE)/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -w $(LLHTTP_CFLAGS) -c -o $@ $<

# --- programs

REDIRECT_LIBS = $(shell $(PKG_CONFIG) --libs $(REDIRECT_PACKAGES))
CNI_LIBS = $(shell $(PKG_CONFIG) --libs $(CNI_PACKAGES))
POLICY_LIBS = $(shell $(PKG_CONFIG) --libs $(POLICY_PACKAGES))
LLHTTP_LIBS = $(if $(LLHTTP),$(shell $(PKG_CONFIG) --libs libllhttp),$(B)/libllhttp.a)
LLHTTP_FILE := $(if $(LLHTTP),,$(B)/libllhttp.a)
DNS_LIBS = $(shell $(PKG_CONFIG) --libs $(DNS_PACKAGES))
TLS_LIBS = $(shell $(PKG_CONFIG) --libs $(TLS_PACKAGES))
# The same as archives, with what they need themselves: Debian 13's OpenSSL compresses, with zlib and zstd.
TLS_ARCHIVES = $(patsubst -l%,-l:lib%.a,$(filter-out -ldl,$(filter -l%,$(shell $(PKG_CONFIG) --static --libs $(TLS_PACKAGES)))))

$(B)/weir-cni: $(B)/obj/cni/main.o $(B)/libcni.a $(B)/libredirect.a $(B)/libbase.a
$(B)/weir-cni: LDLIBS += $(REDIRECT_LIBS) $(CNI_LIBS)
$(B)/weir-init: $(B)/obj/init/main.o $(B)/libinit.a $(B)/libredirect.a $(B)/libbase.a
$(B)/weir-init: LDLIBS += $(REDIRECT_LIBS)
$(B)/weir-proxy: $(B)/obj/proxy/main.o $(B)/libproxy.a $(B)/libhttp.a $(B)/libdns.a $(B)/libtls.a $(B)/libpolicy.a \
	$(B)/libbase.a $(LLHTTP_FILE)
# OpenSSL is a part of the program: loaded as libraries of its own, it costs an idle proxy 1.7 MB that nothing uses.
$(B)/weir-proxy: LDLIBS += $(POLICY_LIBS) $(DNS_LIBS) $(TLS_ARCHIVES) $(if $(LLHTTP),$(LLHTTP_LIBS))

$(PROGRAMS):
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The form that is shipped. Debian 12 has no libmnl.a.
static:
	$(Q)tests/deps build
	$(Q)if [ -e "$$($(CC) -print-file-name=libmnl.a)" ]; then \
		$(MAKE) --no-print-directory B=$(B)/static STATIC=1 all; \
	else \
		WEIR_ROOT=$(ROOT) tests/root make WERROR=$(WERROR) V=$(V) static && \
		mkdir -p $(B)/static && cp $(ROOT)/weir/build/static/weir-* $(B)/static/; \
	fi

install: all
	install -d $(DESTDIR)$(CNIDIR) $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(B)/weir-cni $(DESTDIR)$(CNIDIR)/weir-cni
	install -m 0755 $(B)/weir-init $(B)/weir-proxy $(DESTDIR)$(PREFIX)/sbin/

# --- tests: NAME_test.c is a cmocka program, other tests are scripts; all of them speak TAP (tests/run counts)

TEST_SOURCES := $(wildcard tests/unit/*_test.c tests/netns/*_test.c)
TEST_PROGRAMS := $(patsubst %.c,$(B)/%,$(TEST_SOURCES))
TEST_LIBRARIES := $(B)/libcni.a $(B)/libinit.a $(B)/libproxy.a $(B)/libhttp.a $(B)/libdns.a $(B)/libtls.a $(B)/libpolicy.a \
	$(B)/libredirect.a $(B)/libbase.a $(LLHTTP_FILE)
TEST_LIBS = $(REDIRECT_LIBS) $(CNI_LIBS) $(POLICY_LIBS) $(DNS_LIBS) $(TLS_LIBS) $(LLHTTP_LIBS)

$(TEST_PROGRAMS): $(B)/%: $(B)/obj/%.o $(TEST_LIBRARIES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS) \
		$(shell $(PKG_CONFIG) --libs $(TEST_PACKAGES))

# Here the code's own allocations fail, one after the other.
$(B)/tests/unit/policy_memory_test: override LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
$(B)/tests/unit/reserve_test: override LDFLAGS += -Wl,--wrap=malloc,--wrap=realloc
$(B)/tests/unit/http_memory_test: override LDFLAGS += -Wl,--wrap=malloc,--wrap=realloc

# Fuzz targets run their corpus, unless they are linked with libFuzzer.
FUZZ_PROGRAMS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_MAIN := $(if $(FUZZ),-fsanitize=fuzzer,$(B)/obj/tests/fuzz/replay.o)

$(FUZZ_PROGRAMS): $(B)/%: $(B)/obj/%.o $(B)/obj/tests/fuzz/replay.o $(TEST_LIBRARIES)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $< $(FUZZ_MAIN) $(TEST_LIBRARIES) $(TEST_LIBS)

# What tests preload into the programs. The sanitizers' own code belongs to the programs.
FAULT_LIBRARY := $(B)/tests/fault/libfault.so
FAULT_CFLAGS = $(filter-out -MMD -MP -fPIE -fsanitize=% -fno-sanitize-recover=%,$(CFLAGS)) -fPIC

$(FAULT_LIBRARY): tests/fault/fault.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(FAULT_CFLAGS) -shared -Wl,-z,relro,-z,now -o $@ $< -ldl

# Both ends of random connections, for tests/netns/transparency.py.
PLAY := $(B)/tests/netns/play/play

$(PLAY): $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/netns/play/*.c)) $(B)/libbase.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^

# A resolver that is told on stdin what to do, for tests/netns/resolver.py.
RESOLVE := $(B)/tests/netns/resolve/resolve

$(RESOLVE): $(B)/obj/tests/netns/resolve/resolve.o $(B)/libdns.a $(B)/libbase.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ $(DNS_LIBS)

deps:
	$(Q)tests/deps build test

check: deps
	$(Q)tests/check

check-tests: all $(TEST_PROGRAMS) $(FUZZ_PROGRAMS) $(FAULT_LIBRARY) $(PLAY) $(RESOLVE)

# What depends on llhttp's version.
http-tests: $(patsubst %.c,$(B)/%,$(wildcard tests/unit/http_*_test.c)) $(B)/tests/fuzz/http_fuzz

# Without a word about the build: what the demo shows fits a screen.
demo: deps
	$(Q)$(MAKE) --no-print-directory -s say= all
	$(Q)tests/demo

e2e: static
	$(Q)tests/deps build test e2e
	$(Q)WEIR_ROOT=$(ROOT) WEIR_BUILD=$(B) tests/e2e/run

peer:
	$(Q)tests/deps build test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)WEIR_BUILD=$(B) tests/peer/run

fuzz-programs: $(FUZZ_PROGRAMS)

fuzz:
	$(Q)tests/deps build fuzz
	$(Q)$(MAKE) --no-print-directory B=$(B)/fuzz CC=clang SANITIZE=1 FUZZ=1 fuzz-programs
	$(Q)WEIR_BUILD=$(B)/fuzz tests/fuzz/run

soak:
	$(Q)tests/deps build test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)WEIR_BUILD=$(B) SOAK_SECONDS=$${SOAK_SECONDS:-300} tests/netns/soak.py

bench:
	$(Q)tests/deps build bench
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/bench/run

lint:
	$(Q)tests/deps build test lint
	$(Q)tests/lint

# What a compiler needs to know of outside libraries, for tests/lint.
cflags:
	@echo $(LLHTTP_CFLAGS)

clean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The arrows of the architecture: which folder may include which, and where an outside library may be seen.
set -u
cd "$(dirname "$0")/../.." || exit 1

declare -A may=(
	[redirect/base]="redirect/base"
	[redirect/plan]="redirect/base redirect/plan"
	[redirect/nft]="redirect/base redirect/plan redirect/nft"
	[redirect/kernel]="redirect/base redirect/plan redirect/nft redirect/kernel"
	[redirect/iptables]="redirect/base redirect/plan redirect/nft redirect/kernel redirect/iptables"
	[cni]="redirect/base redirect/plan redirect/nft redirect/kernel cni"
	[init]="redirect/base redirect/plan redirect/nft redirect/kernel redirect/iptables init"
	[proxy]="redirect/base proxy/dns proxy/log proxy/net proxy/policy proxy/tls"
	[proxy/dns]="redirect/base proxy/dns"
	[proxy/http]="redirect/base proxy/http"
	[proxy/log]="redirect/base proxy/log"
	[proxy/net]="redirect/base proxy/dns proxy/http proxy/log proxy/net proxy/policy proxy/tls"
	[proxy/policy]="redirect/base proxy/policy"
	[proxy/tls]="redirect/base proxy/tls"
)
# Library headers, and the only files that may include them.
declare -A library=(
	["libnftnl/"]="^redirect/nft/"
	["libmnl/"]="^redirect/nft/"
	["json-c/"]="^cni/(config|document)\.c$"
	["yaml.h"]="^proxy/policy/yaml\.c$"
	["llhttp"]="^proxy/http/codec\.c$"
	["ares.h"]="^proxy/dns/(channel|query)\.c$"
	["openssl/"]="^proxy/tls/(context|peer|stream)\.c$"
)

result() { [ "$1" -eq 0 ] && echo "ok $2" || echo "not ok $2"; }

mapfile -t sources < <(git ls-files -co --exclude-standard 'redirect/*.[ch]' 'cni/*.[ch]' 'init/*.[ch]' 'proxy/*.[ch]' \
	'deploy/*.[ch]')
echo "1..3"

bad=0
for file in "${sources[@]}"; do
	folder=$(dirname "$file")
	if [ -z "${may[$folder]-}" ]; then
		echo "# $file: no rule for folder $folder in $0"
		bad=1
		continue
	fi
	while read -r target; do
		case " ${may[$folder]} " in
		*" $(dirname "$target") "*) ;;
		*)
			echo "# $file includes $target: $folder may use ${may[$folder]}"
			bad=1
			;;
		esac
	done < <(sed -nE 's/^#include "([^"]*)".*/\1/p' "$file")
done
result $bad "1 - folders include only what is below them"
failed=$bad

bad=0
for header in "${!library[@]}"; do
	while read -r file; do
		if ! [[ $file =~ ${library[$header]} ]]; then
			echo "# $file includes <$header...>"
			bad=1
		fi
	done < <(grep -l "^#include <$header" "${sources[@]}")
done
result $bad "2 - outside libraries are seen only where they are wrapped"
failed=$((failed + bad))

bad=0
while read -r hit; do
	echo "# $hit"
	bad=1
done < <(grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtok|alloca)[[:space:]]*\(' "${sources[@]}")
result $bad "3 - functions that cannot be used safely are not used"
failed=$((failed + bad))
exit $((failed > 0))

#!/bin/busybox sh
# prints: START name, STOP name, BENCH name seconds checksum [extra]; also runs natively: GB=./gb BB=busybox GB_TMP=/dev/shm sh bench.sh
GB=${GB:-/bin/gb}; BB=${BB:-/bin/busybox}; T=${GB_TMP:-/tmp}; S=${GB_SCALE:-100}
# libc string functions pick AVX2/ERMS/... by CPUID; pin them to the SSE2 baseline so every engine runs the same code
export GLIBC_TUNABLES=${GLIBC_TUNABLES-glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-SSE4_2,-SSE4_1,-SSSE3,-BMI2,-BMI1,-LZCNT,-MOVBE,-RTM,-AVX2_Usable,-AVX_Usable}
want() { [ -z "$GB_ONLY" ] && return 0; case ",$GB_ONLY," in *",$1,"*) return 0;; esac; return 1; }
echo "BENCH-START $S"
for b in $($GB list); do want $b && $GB $b $S; done
# busybox part: one deterministic 8 MB text+binary file
if want bb_gzip || want bb_gunzip || want bb_sha256 || want bb_shloop; then
  $GB mkdisk $T/r.bin 1
  if want bb_gzip || want bb_gunzip; then
    i=0; while [ $i -lt 12 ]; do $BB od -An -tx1 -v -N $((65536*(1+i%4))) $T/r.bin; $BB head -c 65536 $T/r.bin; i=$((i+1)); done > $T/g.txt
    want bb_gzip && $GB cmd bb_gzip $BB gzip -c $T/g.txt
    $BB gzip -c $T/g.txt > $T/g.gz
    want bb_gunzip && $GB cmd bb_gunzip $BB sh -c "for i in 1 2 3 4; do $BB gunzip -c $T/g.gz; done"
  fi
  want bb_shloop && $GB cmd bb_shloop $BB sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo $i'
  $BB rm -f $T/g.txt $T/g.gz $T/r.bin
fi
echo "BENCH-END"

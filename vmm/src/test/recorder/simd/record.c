/*
 * Runs every MMX and SSE instruction on this machine's processor over generated operands and writes
 * what happened to standard output; the tests of io.anillo.vmm.x86.execute.simd replay it.
 *
 *   gcc -O1 -o record record.c && ./record | gzip -9n > simd.bin.gz
 *
 * Two arguments, a seed and a factor for the number of cases (at most 29), make other recordings.
 *
 * The format, little-endian:
 *   5 pools (INTEGER, SHIFT, SINGLE, DOUBLE, STRING) of POOL operands of 16 bytes
 *   u16 number of groups; for each:
 *     u8 length and name; u8 form; u8 result kind; u8 operand kind; u16 number of cases; for each:
 *       u16 destination, u16 source, u16 third operand: indexes into the pools (the third: XMM0, or
 *         RAX and RDX for string lengths, or the destination of CRC32, from INTEGER or STRING)
 *       u8 immediate, u8 1 if #XM was raised, u16 MXCSR before, u16 MXCSR after
 *       u16 arithmetic flags after
 *       u64, u64 the result
 *       u8 abridged x87 tag word, u8 TOP after, from 0 and 3 before
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "instructions.h"

enum { POOL = 1024, POOLS = 5 };

static uint64_t pools[POOLS][POOL][2];

static uint64_t seed = 0x9E3779B97F4A7C15;
static int factor = 1;

static uint64_t random64(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed * 0x2545F4914F6CDD1D;
}

static unsigned below(unsigned bound) { return (unsigned)((random64() >> 33) % bound); }

/* ---- operands ---- */

static uint64_t random_integer(void) {
  static const uint8_t bytes[] = {0, 1, 2, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF, 0x55};
  static const uint16_t words[] = {0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0xFF80, 0xFF7F};
  static const uint32_t doublewords[] = {0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
                                         0x80000001, 0xFFFFFFFF, 0xFFFF8000, 0xFFFF7FFF};
  static const uint64_t quadwords[] = {0, 1, ~0ull, 1ull << 63, ~0ull >> 1, 1ull << 53, (1ull << 53) + 1,
                                       (1ull << 54) + 2, (1ull << 24) + 1, (3ull << 24) + 1, 0xFFFFFF8000000000};
  uint64_t value = 0;
  switch (below(6)) {
    case 0:
      for (int i = 0; i < 8; i++) value = value << 8 | bytes[below(sizeof bytes)];
      return value;
    case 1:
      for (int i = 0; i < 4; i++) value = value << 16 | words[below(12)];
      return value;
    case 2:
      return (uint64_t)doublewords[below(12)] << 32 | doublewords[below(12)];
    case 3:
      return quadwords[below(11)];
    case 4:
      return (uint64_t)((int64_t)random64() >> below(64));
    default:
      return random64();
  }
}

/* A floating-point number of a format with the given widths, often near where something changes. */
static uint64_t random_float(int fraction_bits, int exponent_bits) {
  uint64_t fraction_mask = (1ull << fraction_bits) - 1;
  uint64_t sign = (uint64_t)below(2) << (fraction_bits + exponent_bits);
  int top = (1 << exponent_bits) - 1;
  int bias = top >> 1;
  uint64_t fraction;
  switch (below(7)) {
    case 0: fraction = 0; break;
    case 1: fraction = 1ull << below(fraction_bits); break;
    case 2: fraction = fraction_mask - (below(2) ? 0 : 1ull << below(fraction_bits)); break;
    case 3: fraction = (random64() << below(fraction_bits)) & fraction_mask; break;
    case 4: fraction = random64() & fraction_mask & (~0ull << (fraction_bits - 4)); break;
    case 5: fraction = (1ull << below(fraction_bits)) | below(4); break;
    default: fraction = random64() & fraction_mask; break;
  }
  int exponent;
  switch (below(16)) {
    case 0: exponent = 0; fraction = below(3) ? fraction : 0; break; /* denormal or zero */
    case 1: exponent = below(3) ? top : top - 1; fraction = below(3) ? fraction : 0; break;
    case 2: exponent = 1 + below(3); break;
    case 3: exponent = top - 1 - below(3); break;
    case 4: exponent = bias + 29 + below(6); break; /* limits of 32-bit integers */
    case 5: exponent = bias + 60 + below(6); break; /* limits of 64-bit integers */
    case 6: exponent = bias / 2 + below(4); break; /* squares underflow */
    case 7: exponent = bias + bias / 2 + below(4); break; /* squares overflow */
    case 8: exponent = bias - fraction_bits - 2 + below(5); break; /* halves of the last bit of 1 */
    case 9: exponent = bias + fraction_bits - 2 + below(5); break;
    case 10: exponent = 1 + below(top - 1); break;
    default: exponent = bias - 3 + below(8); break;
  }
  /* Doubles at the limits of singles. */
  if (fraction_bits == 52 && below(8) == 0) {
    exponent = below(2) ? 1023 - 127 - 26 + below(28) : 1023 + 126 + below(3);
    if (below(2)) fraction = (random64() & fraction_mask & (~0ull << 28)) | (below(4) == 0);
    if (below(4) == 0) fraction = fraction_mask - ((1ull << below(30)) - 1);
  }
  return sign | (uint64_t)exponent << fraction_bits | fraction;
}

static uint64_t random_string(void) {
  uint64_t value = 0;
  unsigned zeros = below(3) ? 40 : 8;
  unsigned letters = 1 + below(6);
  int words = below(2);
  for (int i = 0; i < 8; i++) {
    unsigned letter = below(zeros) == 0 ? 0 : below(12) == 0 ? below(256) : 'a' + below(letters);
    if (words && (i & 1)) letter = below(20) == 0 ? 0x80 : 0;
    value |= (uint64_t)letter << (8 * i);
  }
  return value;
}

static void fill_pools(void) {
  for (int i = 0; i < POOL; i++) {
    for (int half = 0; half < 2; half++) {
      pools[INTEGER][i][half] = random_integer();
      pools[SHIFT][i][half] = below(16) == 0 ? random64() : below(70);
      pools[SINGLE][i][half] = random_float(23, 8) | random_float(23, 8) << 32;
      pools[DOUBLE][i][half] = random_float(52, 11);
      pools[STRING][i][half] = random_string();
    }
    /* Lengths of strings, mostly short, for RAX and RDX. */
    if (i >= POOL / 2) {
      for (int half = 0; half < 2; half++) {
        uint64_t length = (uint64_t)((int64_t)below(40) - 20);
        if (below(8) == 0) length = random64();
        if (below(8) == 0) length = (uint64_t)below(20) << 32;
        if (below(8) == 0) length |= 0xFFFFFFFF00000000;
        pools[STRING][i][half] = length;
      }
    }
  }
}

/* ---- running one instruction ---- */

struct context {
  uint64_t a[2], b[2], c[2]; /* 0, 16, 32 */
  uint64_t xmm0[2], xmm1[2]; /* 48, 64 */
  uint64_t mm1, rax, rcx, flags; /* 80, 88, 96, 104 */
  uint32_t mxcsr; /* 112 */
  uint32_t unused;
  uint64_t code; /* 120 */
  uint64_t general; /* 128: what RCX is before */
  uint8_t area[512] __attribute__((aligned(16))); /* 144: FXSAVE image */
};

extern void run(struct context *context);
__asm__(
    ".globl run\nrun:\n"
    "  push %rbx\n  mov %rdi, %rbx\n  lea 16(%rdi), %rsi\n"
    "  fxrstor64 144(%rbx)\n" /* TOP 3, all registers empty */
    "  ldmxcsr 112(%rbx)\n"
    "  movdqu (%rbx), %xmm1\n  movdqu 16(%rbx), %xmm2\n  movdqu 32(%rbx), %xmm0\n"
    "  mov 32(%rbx), %rax\n  mov 40(%rbx), %rdx\n  mov 128(%rbx), %rcx\n"
    "  cmp %rbx, %rbx\n"
    "  call *120(%rbx)\n"
    "  pushfq\n  pop 104(%rbx)\n  mov %rax, 88(%rbx)\n  mov %rcx, 96(%rbx)\n  stmxcsr 112(%rbx)\n"
    "  movdqu %xmm0, 48(%rbx)\n  movdqu %xmm1, 64(%rbx)\n"
    "  fxsave64 144(%rbx)\n"
    "  emms\n  pop %rbx\n  ret\n");

static sigjmp_buf trapped;
static uint32_t trapped_mxcsr;

static void on_trap(int signal, siginfo_t *info, void *argument) {
  (void)signal;
  (void)info;
  ucontext_t *context = argument;
  trapped_mxcsr = context->uc_mcontext.fpregs->mxcsr;
  siglongjmp(trapped, 1);
}

static uint8_t *code;

static void assemble(const struct instruction *instruction, int immediate) {
  uint8_t *at = code;
  for (const char *hex = instruction->code; *hex != 0; hex += 2) {
    unsigned byte;
    sscanf(hex, "%2x", &byte);
    *at++ = (uint8_t)byte;
  }
  if (instruction->immediate != NONE) *at++ = (uint8_t)immediate;
  *at++ = 0xC3;
}

static void put(uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) putchar((int)(value >> (8 * i) & 0xFF));
}

static uint32_t random_mxcsr(enum operands operands) {
  if (operands != SINGLE && operands != DOUBLE && operands != INTEGER) return 0x1F80;
  uint32_t mxcsr = 0x1F80;
  if (below(2)) mxcsr |= below(4) << 13;
  if (below(4) == 0) mxcsr |= 1 << 6;
  if (below(4) == 0) mxcsr |= 1 << 15;
  if (below(3) == 0) mxcsr |= 0x20;
  if (below(6) == 0) mxcsr |= below(64);
  if (below(6) == 0) mxcsr ^= below(64) << 7;
  return mxcsr;
}

static int random_immediate(enum immediate kind) {
  switch (kind) {
    case PREDICATE: return (int)below(8);
    case ROUND: return (int)below(16);
    case COUNT: return (int)(below(8) ? below(40) : below(256));
    default: return (int)below(256);
  }
}

static void record(const struct instruction *instruction) {
  int cases = instruction->cases * factor;
  put(strlen(instruction->name), 1);
  fputs(instruction->name, stdout);
  put(instruction->form, 1);
  put(instruction->result, 1);
  put(instruction->operands, 1);
  put(cases, 2);
  enum operands pool = instruction->operands;
  for (int i = 0; i < cases; i++) {
    enum operands a_pool = pool == SHIFT ? INTEGER : pool;
    enum operands c_pool = pool == STRING ? STRING : INTEGER;
    unsigned usable = pool == STRING ? POOL / 2 : POOL;
    unsigned a = below(usable);
    volatile unsigned b = below(8) == 0 ? a : below(usable);
    unsigned c = pool == STRING ? POOL / 2 + below(POOL / 2) : below(POOL);
    volatile int immediate = random_immediate(instruction->immediate);
    volatile uint32_t mxcsr = random_mxcsr(pool);
    static struct context context __attribute__((aligned(16)));
    memset(&context, 0, sizeof context);
    memcpy(context.a, pools[a_pool][a], 16);
    memcpy(context.b, pools[pool][b], 16);
    memcpy(context.c, pools[c_pool][c], 16);
    context.mxcsr = mxcsr;
    context.general = context.b[0];
    context.code = (uint64_t)code;
    /* An x87 image: control word, TOP 3, no register valid; MM1 and MM2 have their values. Physical
       register n is stack register n - 3. */
    uint16_t control = 0x37F, status = 3 << 11;
    uint32_t image_mxcsr = 0x1F80;
    memcpy(context.area, &control, 2);
    memcpy(context.area + 2, &status, 2);
    memcpy(context.area + 24, &image_mxcsr, 4);
    memcpy(context.area + 32 + 16 * ((1 - 3) & 7), context.a, 8);
    memcpy(context.area + 32 + 16 * ((2 - 3) & 7), context.b, 8);
    assemble(instruction, immediate);
    int trap = sigsetjmp(trapped, 1);
    if (trap == 0) {
      run(&context);
    } else {
      context.mxcsr = trapped_mxcsr;
    }
    put(a, 2);
    put(b, 2);
    put(c, 2);
    put(instruction->immediate == NONE ? 0 : immediate, 1);
    put(trap, 1);
    put(mxcsr, 2);
    put(context.mxcsr, 2);
    put(trap ? 0 : context.flags & 0x8D5, 2);
    uint64_t low = 0, high = 0;
    unsigned top = context.area[3] >> 3 & 7;
    if (!trap) {
      switch (instruction->result) {
        case XMM: low = context.xmm1[0]; high = context.xmm1[1]; break;
        case MMX: {
          memcpy(&low, context.area + 32 + 16 * ((1 - top) & 7), 8);
          memcpy(&high, context.area + 32 + 16 * ((1 - top) & 7) + 8, 2);
          break;
        }
        case MASK: low = context.xmm0[0]; high = context.xmm0[1]; break;
        case RAX: case CRC: low = context.rax; break;
        case INDEX: low = context.rcx; break;
        case FLAGS: break;
      }
    }
    put(low, 8);
    put(high, 8);
    put(context.area[4], 1);
    put(top, 1);
  }
}

int main(int argc, char **argv) {
  if (argc == 3) {
    seed ^= strtoull(argv[1], NULL, 10) << 1;
    factor = atoi(argv[2]);
  }
  code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) {
    fprintf(stderr, "record: no executable memory\n");
    return 1;
  }
  struct sigaction action = {0};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGFPE, &action, NULL);
  fill_pools();
  for (int i = 0; i < POOLS; i++) {
    for (int j = 0; j < POOL; j++) {
      put(pools[i][j][0], 8);
      put(pools[i][j][1], 8);
    }
  }
  int count = (int)(sizeof instructions / sizeof instructions[0]);
  put(count, 2);
  for (int i = 0; i < count; i++) record(&instructions[i]);
  return 0;
}

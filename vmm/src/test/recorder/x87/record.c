/*
 * Records what the processor it runs on does for x87 instructions, as vectors for X87VectorTest.
 *
 *   gcc -O1 -o record record.c && ./record exact | gzip -9n > x87-exact.bin.gz
 *                                 ./record transcendental | gzip -9n > x87-transcendental.bin.gz
 *                                 ./record images | gzip -9n > x87-images.bin.gz
 *
 * Each case loads a whole state with FRSTOR, executes one instruction on it and stores the whole state with FNSAVE,
 * which does not wait: so that unmasked exceptions are recorded too and never become a signal.
 *
 * A record, little endian:
 *   opcode u8, modrm u8, control u16, status u16 (with TOP), valid u8 (by physical register), flags u8 (low EFLAGS),
 *   ST(0) and ST(1) as 10 bytes each, memory 10 bytes only when modrm is below 0xC0;
 *   then after it: status u16, valid u8, control u16, EFLAGS u16, changed u8 (bit set of physical registers),
 *   10 bytes for each changed register, and for a memory form the 10 bytes of memory.
 * ST(k) for k from 2 to 7 holds exponent 0x3FFF + k and significand 0x8000000000000000 + k.
 * For FNSTSW AX the ten bytes of memory after it hold AX first.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

typedef struct {
  u64 significand;
  u16 signExponent;
} number;

static u64 seed = 0x9E3779B97F4A7C15ull;

static u64 next(void) {
  u64 z = (seed += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

static u32 below(u32 bound) { return (u32)((next() >> 32) * bound >> 32); }

static const u64 significands[] = {
  0x8000000000000000ull, 0x8000000000000001ull, 0xFFFFFFFFFFFFFFFFull, 0xFFFFFFFFFFFFFFFEull,
  0xC000000000000000ull, 0xC000000000000001ull, 0xBFFFFFFFFFFFFFFFull, 0xFFFFFF0000000000ull,
  0xFFFFFF8000000000ull, 0xFFFFFF7FFFFFFFFFull, 0xFFFFFFFFFFFFF800ull, 0xFFFFFFFFFFFFFC00ull,
  0xFFFFFFFFFFFFFBFFull, 0x8000008000000000ull, 0x8000018000000000ull, 0x8000000000000400ull,
  0x8000000000000C00ull, 0xA000000000000000ull, 0x8000000000000002ull, 0x8000010000000000ull,
};

static u64 anySignificand(void) {
  switch (below(4)) {
    case 0: return significands[below(sizeof significands / 8)];
    case 1: return 1ull << 63 | next() << below(63);
    case 2: return 1ull << 63 | (next() << 40 & ~0ull) | (next() & 1) << below(40);
    default: return 1ull << 63 | next();
  }
}

static const number specials[] = {
  {0, 0}, {1, 0}, {0x4000000000000000ull, 0}, {0x7FFFFFFFFFFFFFFFull, 0}, {0x123456789ull, 0},
  {0x8000000000000000ull, 0}, {0xC000000000000123ull, 0},                      /* pseudo-denormals */
  {0x8000000000000000ull, 1}, {0xFFFFFFFFFFFFFFFFull, 1}, {0x8000000000000001ull, 2},
  {0x8000000000000000ull, 0x3FFF}, {0x8000000000000000ull, 0x3FFE}, {0xFFFFFFFFFFFFFFFFull, 0x3FFE},
  {0xC000000000000000ull, 0x3FFF}, {0x8000000000000000ull, 0x4000}, {0x8000000000000001ull, 0x3FFF},
  {0x8000000000000000ull, 0x7FFE}, {0xFFFFFFFFFFFFFFFFull, 0x7FFE}, {0xFFFFFFFFFFFFFFFEull, 0x7FFE},
  {0x8000000000000000ull, 0x7FFF},                                             /* infinity */
  {0xC000000000000000ull, 0x7FFF}, {0xC000000000000001ull, 0x7FFF}, {0xFFFFFFFFFFFFFFFFull, 0x7FFF},
  {0x8000000000000001ull, 0x7FFF}, {0xBFFFFFFFFFFFFFFFull, 0x7FFF}, {0xA000000000000000ull, 0x7FFF},
  {0x4000000000000000ull, 0x7FFF}, {0, 0x7FFF}, {1, 0x7FFF},                   /* unsupported */
  {0x7FFFFFFFFFFFFFFFull, 0x3FFF}, {0, 0x3FFF}, {0x4000000000000000ull, 1}, {0, 0x4005},
};

static number special(void) {
  number value = specials[below(sizeof specials / sizeof *specials)];
  value.signExponent |= below(2) << 15;
  return value;
}

static number around(int exponent, int spread) {
  number value = {anySignificand(), 0};
  exponent += (int)below(2 * spread + 1) - spread;
  if (exponent < 0) exponent = 0;
  if (exponent > 0x7FFE) exponent = 0x7FFE;
  if (exponent == 0 && below(2)) value.significand >>= 1 + below(63);
  value.signExponent = exponent | below(2) << 15;
  return value;
}

/* Halves and their neighbours, and whole numbers, around the limits of the integer formats. */
static number integral(void) {
  int bits = below(67);
  number value = {anySignificand(), 0x3FFF - 2 + bits};
  if (below(2)) {
    int fraction = 63 - bits + 2;
    if (fraction > 1 && fraction < 64) {
      value.significand &= ~0ull << (fraction - 1);
      if (below(3) == 0) value.significand += (int)below(3) - 1;
      value.significand |= 1ull << 63;
    }
  }
  value.signExponent |= below(2) << 15;
  return value;
}

static number operand(void) {
  switch (below(8)) {
    case 0: case 1: return special();
    case 2: return around(0x3FFF, 3);
    case 3: return around(0x3FFF, 70);
    case 4: return around(20, 60);
    case 5: return around(0x7FFE, 60);
    case 6: return integral();
    default: return around(0x3FFF, 0x3FFE);
  }
}

/* Arguments where the functions are at work, with specials now and then. */
static number argument(int opcode, int modrm, int which) {
  if (below(6) == 0) return special();
  if (opcode != 0xD9) return operand();
  switch (modrm) {
    case 0xF0: return below(8) ? around(0x3FFE - below(20), 0) : around(0x3FC0, 64);
    case 0xF1: return which == 0 ? (number){anySignificand(), 0x3FFF + below(41) - 20} : around(0x3FFF, 60);
    case 0xF9:
      if (which == 1) return around(0x3FFF, 60);
      {
        number value = around(0x3FFB - below(40), 1);
        return value;
      }
    case 0xF3: return around(0x3FFF, below(2) ? 6 : 60);
    default: return below(3) ? around(0x3FFF + below(8), 4) : around(0x3FFF + 20, 50);
  }
}

static void put(u8 *image, number value) {
  memcpy(image, &value.significand, 8);
  memcpy(image + 8, &value.signExponent, 2);
}

static void memory(int opcode, int reg, u8 *bytes) {
  u64 value = next();
  memset(bytes, 0xA5, 10);
  int single = opcode == 0xD8 || (opcode == 0xD9 && reg < 4);
  int twice = opcode == 0xDC || (opcode == 0xDD && reg < 4);
  if (single) {
    u32 bits = (u32)value;
    switch (below(6)) {
      case 0: bits &= 0x807FFFFF; break;                     /* zero and denormals */
      case 1: bits |= 0x7F800000; break;                     /* NaNs */
      case 2: bits &= 0xFF800000; if (below(2)) bits |= 0x7F800000; break;
      case 3: bits = (bits & 0x807FFFFF) | (120 + below(16)) << 23; break;
      case 4: bits &= 0x80000000; break;
    }
    memcpy(bytes, &bits, 4);
  } else if (twice) {
    switch (below(6)) {
      case 0: value &= 0x800FFFFFFFFFFFFFull; break;
      case 1: value |= 0x7FF0000000000000ull; break;
      case 2: value &= 0xFFF0000000000000ull; if (below(2)) value |= 0x7FF0000000000000ull; break;
      case 3: value = (value & 0x800FFFFFFFFFFFFFull) | (u64)(1016 + below(16)) << 52; break;
      case 4: value &= 0x8000000000000000ull; break;
    }
    memcpy(bytes, &value, 8);
  } else if (opcode == 0xDB && reg == 5) {
    put(bytes, operand());
  } else if (opcode == 0xDF && reg == 4) {
    for (int i = 0; i < 9; i++) bytes[i] = below(10) | below(10) << 4;
    if (below(4) == 0) memset(bytes, 0, 9);
    bytes[9] = (u8)next();
  } else if (opcode == 0xD9 && reg == 5) {
    memcpy(bytes, &value, 2);
  } else {
    static const u64 limits[] = {0, 1, ~0ull, 0x8000, 0x7FFF, 0x80000000, 0x7FFFFFFF, 1ull << 63, ~0ull >> 1};
    if (below(3) == 0) value = limits[below(9)];
    else if (below(2)) value = (u64)((int64_t)value >> below(63));
    memcpy(bytes, &value, 8);
  }
}

/* Instructions for which the second operand is often near the first. */
static int nearby(int opcode, int modrm) {
  return (opcode == 0xD8 || opcode == 0xDC || opcode == 0xDE || modrm == 0xF5 || modrm == 0xF8) && modrm >= 0xC0;
}

typedef long (*code)(const u8 *before, u8 *memory, u8 *after, long flags);

static u8 *buffer;

static code assemble(int opcode, int modrm) {
  u8 *at = buffer;
  static const u8 start[] = {0xDD, 0x27, 0x51, 0x9D, 0x31, 0xC0};   /* frstor [rdi]; push rcx; popfq; xor eax, eax */
  static const u8 set[] = {0x51, 0x9D};                             /* push rcx; popfq */
  static const u8 end[] = {0x9C, 0x41, 0x58, 0xDD, 0x32,            /* pushfq; pop r8; fnsave [rdx] */
                           0x66, 0x89, 0x42, 0x6C,                  /* mov [rdx+108], ax */
                           0x4C, 0x89, 0xC0, 0xC3};                 /* mov rax, r8; ret */
  memcpy(at, start, sizeof start), at += sizeof start;
  memcpy(at, set, sizeof set), at += sizeof set;
  *at++ = opcode;
  *at++ = modrm >= 0xC0 ? modrm : (modrm & 0x38) | 6;               /* [rsi] */
  memcpy(at, end, sizeof end);
  return (code)buffer;
}

static void write16(int value) { putchar(value & 0xFF), putchar(value >> 8 & 0xFF); }

static void record(int opcode, int modrm, int transcendental) {
  code run = assemble(opcode, modrm);
  static const int masks[] = {0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3E, 0x3D, 0x3B, 0x37, 0x2F, 0x1F, 0x00};
  static const int precisions[] = {3, 3, 3, 3, 2, 0, 1};
  int mask = masks[below(12)];
  if (below(16) == 0) mask = below(64);
  int control = 0x40 | mask | precisions[below(7)] << 8 | below(4) << 10;
  if (transcendental && below(2)) control = 0x37F;
  int status = below(8) << 11 | (below(16) & 7) << 8 | below(2) << 14;
  if (below(3) == 0) status |= below(128) & (mask | 0x40);
  int top = status >> 11 & 7;
  int valid = ~(1 << ((top - 1) & 7)) & 0xFF;
  int damage = below(20);
  if (damage == 0) valid = below(256);
  else if (damage == 1) valid ^= 1 << top;
  else if (damage == 2) valid = 0xFF;
  else if (damage == 3) valid ^= 1 << ((top + 1) & 7);
  u8 before[112] = {0}, after[112] = {0}, cell[16];
  memset(before, 0xFF, 28);
  memcpy(before, &control, 2);
  memcpy(before + 4, &status, 2);
  int tags = 0;
  for (int r = 0; r < 8; r++) tags |= (valid >> r & 1 ? 0 : 3) << 2 * r;
  memcpy(before + 8, &tags, 2);
  memset(before + 12, 0, 16);
  for (int k = 0; k < 8; k++) {
    number value = {0x8000000000000000ull + k, 0x3FFF + k};
    if (k < 2) value = transcendental ? argument(opcode, modrm, k) : operand();
    int integer = modrm < 0xC0 && ((opcode & 1) != 0 && (modrm >> 3 & 7) <= 3 && opcode != 0xD9);
    integer |= opcode == 0xDF && modrm == 0x30;
    integer |= opcode == 0xDF && modrm == 0x38;
    if (k == 0 && (integer || (opcode == 0xD9 && modrm == 0xFC)) && below(3)) value = integral();
    if (k == 0 && modrm < 0xC0 && opcode == 0xD9 && below(2)) value = around(0x3FFF - 127 + 255 * below(2), 26);
    if (k == 0 && modrm < 0xC0 && opcode == 0xDD && below(2)) value = around(0x3FFF - 1023 + 2047 * below(2), 55);
    if (k == 1 && opcode == 0xD9 && modrm == 0xFD && below(4)) value = below(2) ? integral() : around(0x3FFF + 12, 5);
    put(before + 28 + 10 * k, value);
  }
  if (nearby(opcode, modrm)) {
    /* A remainder or a sum of numbers that are near each other. */
    if (below(2)) {
      int exponent = (before[28 + 8] | before[28 + 9] << 8) & 0x7FFF;
      number value = around(exponent, below(3) == 0 ? 1 : 70);
      if (below(8) == 0) memcpy(&value.significand, before + 28, 8);
      put(before + 38, value);
    }
  }
  memory(opcode, modrm >> 3 & 7, cell);
  int flags = (below(2) ? 0x01 : 0) | (below(2) ? 0x04 : 0) | (below(2) ? 0x40 : 0) | (below(2) ? 0x90 : 0) | 2;
  int image = modrm < 0xC0 || (opcode == 0xDF && modrm == 0xE0);
  putchar(opcode), putchar(modrm), write16(control), write16(status), putchar(valid), putchar(flags);
  fwrite(before + 28, 1, 20, stdout);
  if (image) fwrite(cell, 1, 10, stdout);
  long result = run(before, cell, after, flags | 0x202);
  if (opcode == 0xDF && modrm == 0xE0) memcpy(cell, after + 108, 2);
  int tagsAfter = after[8] | after[9] << 8, validAfter = 0, changed = 0;
  for (int r = 0; r < 8; r++) if ((tagsAfter >> 2 * r & 3) != 3) validAfter |= 1 << r;
  int topAfter = after[5] >> 3 & 7;
  for (int r = 0; r < 8; r++)
    if (memcmp(before + 28 + 10 * (r - top & 7), after + 28 + 10 * (r - topAfter & 7), 10)) changed |= 1 << r;
  fwrite(after + 4, 1, 2, stdout), putchar(validAfter), fwrite(after, 1, 2, stdout), write16((int)result & 0xFFFF);
  putchar(changed);
  for (int r = 0; r < 8; r++)
    if (changed >> r & 1) fwrite(after + 28 + 10 * (r - topAfter & 7), 1, 10, stdout);
  if (image) fwrite(cell, 1, 10, stdout);
}

static void times(int count, int opcode, int modrm, int transcendental) {
  while (count-- > 0) record(opcode, modrm, transcendental);
}

/*
 * An image record: operation u8 (see below), narrow u8 (1 for 16-bit formats), image before 108 bytes, memory before
 * 160 bytes, image after 108 bytes, memory after 160 bytes. The images are those of FRSTOR and FNSAVE.
 */
static void image(int operation, int narrow) {
  static const u8 operations[][4] = {
    {0xDB, 0xE0}, {0xD9, 0x36}, {0xD9, 0x26},                       /* FNENI, FNSTENV, FLDENV */
    {0x0F, 0xAE, 0x06}, {0x0F, 0xAE, 0x0E},                         /* FXSAVE, FXRSTOR */
    {0x48, 0x0F, 0xAE, 0x06}, {0x48, 0x0F, 0xAE, 0x0E},             /* the same with REX.W */
    {0xDB, 0xE2}, {0xDB, 0xE3},                                     /* FNCLEX, FNINIT */
  };
  static const u8 lengths[] = {2, 2, 2, 3, 3, 4, 4, 2, 2};
  static u8 cell[512] __attribute__((aligned(16)));
  u8 before[108], after[108] = {0}, *at = buffer;
  for (unsigned i = 0; i < sizeof before; i++) before[i] = next();
  for (unsigned i = 0; i < 160; i++) cell[i] = next();
  for (int i = 0; i < 3; i++) {
    number value = operand();
    put(before + (narrow ? 14 : 28) + 10 * below(8), value);
    put(cell + 32 + 16 * below(8), value);
  }
  memcpy(cell + 24, (u8[]){0x80, 0x1F, 0, 0, 0, 0, 0, 0}, 8);
  /* FLDENV waits: nothing may be pending before it. */
  if (operation == 2 || below(2)) before[0] |= 0x3F;
  /* Canonical pointers, which REX.W demands, and selectors that need not exist. */
  if (operation == 6) memset(cell + 14, 0, 2), memset(cell + 22, 0, 2);
  if (narrow) *at++ = 0x66;
  *at++ = 0xDD, *at++ = 0x27;
  if (narrow && operation < 3) *at++ = 0x66;
  memcpy(at, operations[operation], lengths[operation]), at += lengths[operation];
  if (narrow) *at++ = 0x66;
  *at++ = 0xDD, *at++ = 0x32, *at++ = 0xC3;
  putchar(operation), putchar(narrow);
  fwrite(before, 1, 108, stdout);
  fwrite(cell, 1, 160, stdout);
  ((code)buffer)(before, cell, after, 0);
  fwrite(after, 1, 108, stdout);
  fwrite(cell, 1, 160, stdout);
}

int main(int count, char **arguments) {
  int scale = count > 2 ? atoi(arguments[2]) : 1;
  buffer = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (count < 2 || buffer == MAP_FAILED) return fprintf(stderr, "usage: record exact|transcendental|images [scale [seed]]\n"), 2;
  if (count > 3) seed = strtoull(arguments[3], 0, 0);
  if (!strcmp(arguments[1], "transcendental")) {
    static const int functions[] = {0xF0, 0xF1, 0xF2, 0xF3, 0xF9, 0xFB, 0xFE, 0xFF};
    for (int i = 0; i < 8; i++) times(900 * scale, 0xD9, functions[i], 1);
    return 0;
  }
  if (!strcmp(arguments[1], "images")) {
    for (int i = 0; i < 40 * scale; i++)
      for (int operation = 0; operation < 9; operation++) image(operation, i & 1);
    return 0;
  }
  static const int arithmetic[] = {0, 1, 4, 5, 6, 7};
  for (int i = 0; i < 6; i++) {
    times(i < 2 ? 2400 * scale : 1300 * scale, 0xD8, 0xC1 | arithmetic[i] << 3, 0);
    times(300 * scale, 0xDC, 0xC1 | arithmetic[i] << 3, 0);
    times(300 * scale, 0xDE, 0xC1 | arithmetic[i] << 3, 0);
    times(50 * scale, 0xD8, 0xC0 | arithmetic[i] << 3, 0);
    times(50 * scale, 0xDE, 0xC0 | arithmetic[i] << 3, 0);
    times(50 * scale, 0xDE, 0xC3 | arithmetic[i] << 3, 0);
  }
  for (int i = 0; i < 8; i++) {
    times(500 * scale, 0xD8, i << 3, 0);
    times(150 * scale, 0xDA, i << 3, 0);
    times(500 * scale, 0xDC, i << 3, 0);
    times(150 * scale, 0xDE, i << 3, 0);
  }
  static const u16 comparisons[] = {
    0xD8D1, 0xD8D9, 0xDCD1, 0xDCD9, 0xDED1, 0xDED9, 0xDDE1, 0xDDE9, 0xDAE9, 0xDBE9, 0xDBF1, 0xDFE9, 0xDFF1, 0xD9E4,
    0xD9E5};
  for (int i = 0; i < 15; i++) times(250 * scale, comparisons[i] >> 8, comparisons[i] & 0xFF, 0);
  static const u16 unary[] = {0xD9FA, 0xD9FC, 0xD9FD, 0xD9F4, 0xD9F5, 0xD9F8};
  for (int i = 0; i < 6; i++) times(2000 * scale, unary[i] >> 8, unary[i] & 0xFF, 0);
  static const u16 simple[] = {
    0xD9C0, 0xD9C1, 0xD9C7, 0xD9C9, 0xD9CA, 0xD9C8, 0xD9D0, 0xD9D9, 0xD9DB, 0xD9E0, 0xD9E1, 0xD9E8, 0xD9E9, 0xD9EA,
    0xD9EB, 0xD9EC, 0xD9ED, 0xD9EE, 0xD9F6, 0xD9F7, 0xDAC1, 0xDAC9, 0xDAD1, 0xDAD9, 0xDBC1, 0xDBC9, 0xDBD1, 0xDBD9,
    0xDBE0, 0xDBE1, 0xDBE2, 0xDBE3, 0xDBE4, 0xDDC0, 0xDDC2, 0xDDC9, 0xDDD1, 0xDDD3, 0xDDD9, 0xDDD8, 0xDDDA, 0xDFC1,
    0xDFC3, 0xDFC9, 0xDFD1, 0xDFD9, 0xDFE0};
  for (unsigned i = 0; i < sizeof simple / 2; i++) times(100 * scale, simple[i] >> 8, simple[i] & 0xFF, 0);
  static const u16 transfers[] = {
    0xD900, 0xDD00, 0xDB28, 0xDB00, 0xDF00, 0xDF28, 0xDF20, 0xD928, 0xD938, 0xDD38, 0xDB38,
    0xD910, 0xD918, 0xDD10, 0xDD18, 0xDB08, 0xDB10, 0xDB18, 0xDD08, 0xDF08, 0xDF10, 0xDF18, 0xDF30, 0xDF38};
  for (int i = 0; i < 24; i++)
    times((i < 11 ? 250 : i < 15 ? 900 : 500) * scale, transfers[i] >> 8, transfers[i] & 0xFF, 0);
  return 0;
}

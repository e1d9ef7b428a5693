#define _GNU_SOURCE
/*
 * Records what a real processor does with segment loads, far transfers and IRET in ring 3, over an
 * LDT filled through modify_ldt(2). Output: one line for each case, read by SegmentRecordingTest.
 *
 *   gcc -O1 -static -no-pie -o segments segments.c && ./segments > segments.txt
 *
 *   entry INDEX LIMIT ACCESS         an LDT entry; access as in the descriptor, G and D included
 *   es|ss SELECTOR ok|VECTOR ERROR   a segment load
 *   lar|lsl SELECTOR ZF VALUE, verr|verw SELECTOR ZF
 *   jump|call|ret|iret CS SS RIP ok CS SS RIP RSP, or ... VECTOR ERROR
 */
#include <asm/ldt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ENTRIES 20
#define STACK_TOP 0x20002000UL
#define CODE 0x20004000UL

static sigjmp_buf back;
static volatile uint64_t trap, error, rip, rsp, cs, ss, flags;

static void handler(int number, siginfo_t *info, void *context) {
  greg_t *r = ((ucontext_t *) context)->uc_mcontext.gregs;
  trap = r[REG_TRAPNO];
  error = r[REG_ERR];
  rip = r[REG_RIP];
  rsp = r[REG_RSP];
  flags = r[REG_EFL];
  cs = r[REG_CSGSFS] & 0xFFFF;
  ss = (uint64_t) r[REG_CSGSFS] >> 48;
  siglongjmp(back, 1);
}

static void entry(int number, int contents, int only, int pages, int absent, unsigned limit, int big) {
  struct user_desc d;
  memset(&d, 0, sizeof d);
  d.entry_number = number;
  d.limit = limit;
  d.seg_32bit = big;
  d.contents = contents;
  d.read_exec_only = only;
  d.limit_in_pages = pages;
  d.seg_not_present = absent;
  if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) {
    perror("modify_ldt");
    exit(1);
  }
  /* The kernel sets DPL 3, S and the accessed bit. */
  unsigned access = 0x60 | 0x10 | 1 | (only ? 0 : 2) | contents << 2 | (absent ? 0 : 0x80)
      | (big ? 0x4000 : 0) | (pages ? 0x8000 : 0);
  printf("entry %d %x %x\n", number, limit, access);
}

#define ATTEMPT(...) (trap = 0, error = 0, sigsetjmp(back, 1) == 0 ? ({ __VA_ARGS__; 1; }) : 0)

static void simple(unsigned selector) {
  uint64_t out = 0, ok;
  unsigned char zf;
  if (ATTEMPT(__asm__ volatile("mov %0,%%es" : : "r"(selector)); )) printf("es %x ok\n", selector);
  else printf("es %x %lu %lx\n", selector, trap, error);
  __asm__ volatile("mov %0,%%es" : : "r"(0));
  if (ATTEMPT(__asm__ volatile("mov %%ss,%%rcx; mov %0,%%ss; mov %%rcx,%%ss" : : "r"(selector) : "rcx"); ))
    printf("ss %x ok\n", selector);
  else printf("ss %x %lu %lx\n", selector, trap, error);
  __asm__ volatile("xor %0,%0; lar %2,%k0; setz %1" : "=&r"(out), "=q"(zf) : "r"(selector));
  printf("lar %x %d %lx\n", selector, zf, out);
  __asm__ volatile("xor %0,%0; lsl %2,%k0; setz %1" : "=&r"(out), "=q"(zf) : "r"(selector));
  printf("lsl %x %d %lx\n", selector, zf, out);
  __asm__ volatile("verr %w1; setz %0" : "=q"(zf) : "r"(selector));
  printf("verr %x %d\n", selector, zf);
  __asm__ volatile("verw %w1; setz %0" : "=q"(zf) : "r"(selector));
  printf("verw %x %d\n", selector, zf);
}

/* A far transfer that succeeds meets INT3 at its target. */
static void report(const char *what, unsigned code, unsigned stack, uint64_t offset) {
  if (trap == 3)
    printf("%s %x %x %lx ok %lx %lx %lx %lx\n", what, code, stack, offset, cs, ss, rip - 1, rsp);
  else
    printf("%s %x %x %lx %lu %lx\n", what, code, stack, offset, trap, error);
}

static void far(unsigned code, uint64_t offset) {
  struct { uint32_t offset; uint16_t selector; } __attribute__((packed)) pointer = {offset, code};
  uint64_t *top = (uint64_t *) STACK_TOP;
  if (offset >> 32 == 0) {
    if (ATTEMPT(__asm__ volatile("mov %1,%%rsp; ljmp *(%0)" : : "r"(&pointer), "r"(top) : "memory"); )) {}
    report("jump", code, 0, offset);
    if (ATTEMPT(__asm__ volatile("mov %1,%%rsp; lcall *(%0)" : : "r"(&pointer), "r"(top) : "memory"); )) {}
    report("call", code, 0, offset);
  }
  top[-2] = offset;
  top[-1] = code;
  if (ATTEMPT(__asm__ volatile("mov %0,%%rsp; lretq" : : "r"(top - 2) : "memory"); )) {}
  report("ret", code, 0, offset);
}

static void iret(unsigned code, unsigned stack, uint64_t offset) {
  uint64_t *top = (uint64_t *) STACK_TOP;
  top[-5] = offset;
  top[-4] = code;
  top[-3] = 0x202;
  top[-2] = STACK_TOP;
  top[-1] = stack;
  if (ATTEMPT(__asm__ volatile("mov %0,%%rsp; iretq" : : "r"(top - 5) : "memory"); )) {}
  report("iret", code, stack, offset);
}

int main(void) {
  stack_t alternate = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
  mmap((void *) (STACK_TOP - 0x2000), 0x8000, PROT_READ | PROT_WRITE | PROT_EXEC,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  memset((void *) CODE, 0xCC, 64);

  int n = 0;
  for (int contents = 0; contents < 4; contents++)
    for (int only = 0; only < 2; only++)
      for (int absent = contents == 3; absent < 2; absent++)
        entry(n++, contents, only, 1, absent, 0xFFFFF, 1);
  entry(n++, 0, 0, 0, 0, 0xFFF, 1);
  entry(n++, 0, 0, 0, 0, 0xFFF, 0);
  entry(n++, 2, 0, 0, 0, 0xFFF, 1);
  entry(n++, 2, 1, 0, 0, 0xFFFF, 0);
  entry(n++, 1, 0, 1, 0, 0xFFF, 0);
  int beyond = n + 2;

  for (unsigned selector = 0; selector < 4; selector++) simple(selector);
  for (unsigned selector = 0x10; selector <= 0x33; selector++) if (!(selector & 4)) simple(selector);
  for (int i = 0; i < beyond; i++)
    for (unsigned rpl = 0; rpl < 4; rpl++) simple(i << 3 | 4 | rpl);

  uint64_t offsets[] = {CODE, 0x800, 0x800000000000UL};
  unsigned stacks[] = {0, 3, 0x2B, 0x28, 0x18, 0x33, 7, 4, 0x0F, 0x17, 0x27, 0x7F, 0x77, 0xFFFF};
  for (int o = 0; o < 3; o++) {
    unsigned codes[64];
    int count = 0;
    for (unsigned s = 0; s < 4; s++) codes[count++] = s;
    unsigned globals[] = {0x10, 0x13, 0x18, 0x1B, 0x20, 0x23, 0x2B, 0x30, 0x33, 0xFFFF, 0xFFF8};
    for (int i = 0; i < 11; i++) codes[count++] = globals[i];
    for (int i = 0; i < beyond; i++) codes[count++] = i << 3 | 7;
    codes[count++] = 8 << 3 | 4;
    codes[count++] = 8 << 3 | 6;
    for (int c = 0; c < count; c++) {
      /* Targets that would run whatever lies at 0x800 are left out. */
      far(codes[c], offsets[o]);
      for (unsigned s = 0; s < sizeof stacks / sizeof *stacks; s++) iret(codes[c], stacks[s], offsets[o]);
    }
  }
  return 0;
}

/*
 * Records what a real processor does with far returns of ring 3 whose stack ends: RETF and IRET in
 * 32-bit code, over stack segments of both widths that grow up and down, with the stack pointer at
 * every place about the limit. Output: one line for each case, read by StackLimitRecordingTest.
 *
 *   gcc -O1 -o stacks stacks.c && ./stacks > stacks.txt
 *
 *   entry INDEX BASE LIMIT ACCESS      an LDT entry; access as in the descriptor, G and D included
 *   CODE SS ESP CS ok CS EIP ESP       a return that succeeded, to TARGET in CS
 *   CODE SS ESP CS VECTOR ERROR        one that did not
 *
 * CODE is the instruction's bytes. Its operands lie at SS:ESP, as far as the segment's width goes:
 * TARGET, the selector CS, and flags of 0x202.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x10000000u
#define STACK 0x20020000u
#define TARGET 0x100u
#define CODE_SELECTOR 0x07u
#define ENTRIES 6

struct stack {
  uint32_t limit;
  int contents, big, pages;
};

static const struct stack stacks[ENTRIES - 1] = {
    {0xFFF, 0, 1, 0}, {0xFFF, 0, 0, 0}, {0xFFFF, 0, 0, 0}, {0xFFF, 1, 1, 0}, {0xFFF, 1, 0, 0},
};

static gregset_t main_registers;
static volatile int running;
static uint64_t wanted_ss, wanted_esp;
static uint64_t trap, error, rip, rsp, cs;

static void handler(int number, siginfo_t *info, void *context) {
  greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (!running) {
    memcpy(main_registers, r, sizeof main_registers);
    r[REG_CSGSFS] = CODE_SELECTOR | (greg_t)wanted_ss << 48;
    r[REG_RIP] = 0;
    r[REG_RSP] = (greg_t)wanted_esp;
    r[REG_EFL] = 0x202;
    running = 1;
    return;
  }
  trap = r[REG_TRAPNO];
  error = r[REG_ERR];
  rip = r[REG_RIP];
  rsp = r[REG_RSP];
  cs = r[REG_CSGSFS] & 0xFFFF;
  memcpy(r, main_registers, sizeof main_registers);
  running = 0;
}

static void entry(int number, uint32_t base, uint32_t limit, int contents, int big, int pages) {
  struct user_desc d;
  memset(&d, 0, sizeof d);
  d.entry_number = number;
  d.base_addr = base;
  d.limit = limit;
  d.seg_32bit = big;
  d.contents = contents;
  d.limit_in_pages = pages;
  if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) {
    perror("modify_ldt");
    exit(1);
  }
  /* The kernel sets DPL 3, S and the accessed bit. */
  unsigned access = 0x80 | 0x60 | 0x10 | 1 | 2 | contents << 2 | (big ? 0x4000 : 0) | (pages ? 0x8000 : 0);
  printf("entry %d %x %x %x\n", number, base, limit, access);
}

static void put(const struct stack *stack, uint32_t offset, int bytes, uint32_t value) {
  for (int i = 0; i < bytes; i++) {
    uint32_t at = offset + (uint32_t)i;
    if (!stack->big) at &= 0xFFFF;
    if (at < 0x20000) ((uint8_t *)(uintptr_t)STACK)[at] = (uint8_t)(value >> 8 * i);
  }
}

static void attempt(int number, const char *bytes, int length, uint32_t esp, uint32_t selector) {
  const struct stack *stack = &stacks[number - 1];
  int size = (uint8_t)bytes[0] == 0x66 ? 2 : 4;
  memset((void *)(uintptr_t)STACK, 0, 0x20000);
  put(stack, esp, size, TARGET);
  put(stack, esp + (uint32_t)size, size, selector);
  put(stack, esp + 2 * (uint32_t)size, size, 0x202);
  memset((void *)(uintptr_t)CODE, 0xCC, 0x200);
  memcpy((void *)(uintptr_t)CODE, bytes, (size_t)length);
  wanted_ss = (uint64_t)number << 3 | 7;
  wanted_esp = esp;
  raise(SIGUSR1);
  for (int i = 0; i < length; i++) printf("%02x", (uint8_t)bytes[i]);
  printf(" %x %x %x ", (unsigned)wanted_ss, esp, selector);
  if (trap == 3) printf("ok %x %x %x\n", (unsigned)cs, (unsigned)rip - 1, (unsigned)rsp);
  else printf("%u %x\n", (unsigned)trap, (unsigned)error);
}

int main(void) {
  stack_t alternate = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGUSR1};
  for (int i = 0; i < 6; i++) sigaction(signals[i], &action, NULL);
  mmap((void *)(uintptr_t)CODE, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  mmap((void *)(uintptr_t)STACK, 0x20000, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  entry(0, CODE, 0xFFF, 2, 1, 0);
  for (int i = 0; i < ENTRIES - 1; i++)
    entry(i + 1, STACK, stacks[i].limit, stacks[i].contents, stacks[i].big, stacks[i].pages);

  static const struct { const char *bytes; int length; } codes[] = {
      {"\xCB", 1}, {"\xCA\x08\x00", 3}, {"\xCF", 1},
      {"\x66\xCB", 2}, {"\x66\xCA\x08\x00", 4}, {"\x66\xCF", 2},
  };
  static const uint32_t selectors[] = {CODE_SELECTOR, 0, 0x0F};
  for (int number = 1; number < ENTRIES; number++)
    for (int c = 0; c < 6; c++)
      for (int s = 0; s < 3; s++)
        for (int d = -18; d <= 3; d++) {
          attempt(number, codes[c].bytes, codes[c].length, (uint32_t)((int)stacks[number - 1].limit + d), selectors[s]);
          if (!stacks[number - 1].big && stacks[number - 1].limit == 0xFFF && d < 0)
            attempt(number, codes[c].bytes, codes[c].length, (uint32_t)(0x10000 + d), selectors[s]);
        }
  return 0;
}

/*
 * Executes machine code on this machine's processor, in ring 3, one case after the other: a case is
 * a complete state of registers, flags, floating-point registers and memory with a few bytes of
 * code, and its answer is what all of these are when the code traps. Cases come on standard input
 * and answers go to standard output, as records of the structures below.
 *
 *   gcc -O1 -o execute execute.c
 *
 * The tests of io.anillo.vmm.x86.vector generate the cases; docs/testing.md tells how to record
 * vectors and how to run comparisons with this program.
 *
 * A case enters user code through rt_sigreturn, which loads every register at once, 32-bit and
 * 16-bit code segments included, and leaves it through the signal that its trap raises. With TF set
 * in its flags one instruction runs; without, code runs up to a fault or the INT3 behind it.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x10000000ul
#define CODE_BYTES 0x2000
#define DATA 0x20000000ul
#define DATA_ALIAS 0x500000000000ul /* the writable pages of DATA once more */
#define DATA_BYTES 0x3000
#define READ_ONLY 0x2000

enum { MEMORY = 1, CASE = 2 };
enum { FLOATING = 1, TIMED = 2 };

struct request {
  uint32_t kind;
  uint8_t setup; /* index into setups */
  uint8_t options;
  uint16_t code_length;
  uint64_t rip; /* offset in the code segment */
  uint64_t flags;
  uint64_t fs_base, gs_base; /* 64-bit code only */
  uint64_t general[16]; /* RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 .. R15 */
  uint8_t code[64];
  uint8_t floating[512]; /* FXSAVE64 image */
};

struct answer {
  uint64_t vector, error, cr2; /* vector 255: timed out */
  uint64_t rip, flags;
  uint64_t selectors; /* CS, SS in the lowest halfwords */
  uint64_t fs_base, gs_base;
  uint64_t general[16];
  uint8_t floating[512];
  uint64_t changes; /* followed by that many: u64 offset in data, u64 the eight bytes there */
};

struct setup {
  uint16_t cs, ss, data, fs, gs;
  uint64_t code_base;
};

/* Selectors: Linux's own 0x23, 0x2B and 0x33; then the LDT made by make_segments. */
static const struct setup setups[] = {
    {0x33, 0x2B, 0, 0, 0, 0},
    {0x23, 0x2B, 0x2B, 0x27, 0x2F, 0},
    {0x17, 0x1F, 0x1F, 0x27, 0x2F, CODE},
    {0x07, 0x0F, 0x0F, 0x27, 0x37, CODE},
    {0x07, 0x1F, 0x1F, 0x27, 0x2F, CODE},
    {0x17, 0x0F, 0x0F, 0x27, 0x37, CODE},
};

static uint8_t image[DATA_BYTES] __attribute__((aligned(16)));
static struct request request;
static struct answer answer;
static uint64_t *hidden; /* where this program itself writes the data */
static volatile int in_guest;
static uint64_t main_fs, main_gs;
static gregset_t main_registers;

static void make_segment(int number, uint32_t base, uint32_t limit, int contents, int big, int read_only) {
  struct user_desc descriptor;
  memset(&descriptor, 0, sizeof descriptor);
  descriptor.entry_number = number;
  descriptor.base_addr = base;
  descriptor.limit = limit;
  descriptor.contents = contents;
  descriptor.seg_32bit = big;
  descriptor.read_exec_only = read_only;
  if (syscall(SYS_modify_ldt, 0x11, &descriptor, sizeof descriptor) != 0) {
    perror("execute: modify_ldt");
    _exit(1);
  }
}

static void make_segments(void) {
  make_segment(0, CODE, CODE_BYTES - 1, 2, 0, 0);
  make_segment(1, DATA, DATA_BYTES - 1, 0, 0, 0);
  make_segment(2, CODE, CODE_BYTES - 1, 2, 1, 0);
  make_segment(3, DATA, DATA_BYTES - 1, 0, 1, 0);
  make_segment(4, DATA + 0x1000, 0xFFF, 0, 1, 0);
  make_segment(5, DATA, 0xFFF, 0, 1, 1);
  make_segment(6, DATA, 0x7FF, 1, 1, 0);
}

static uint64_t read_fs(void) { uint64_t v; __asm__ volatile("rdfsbase %0" : "=r"(v)); return v; }
static uint64_t read_gs(void) { uint64_t v; __asm__ volatile("rdgsbase %0" : "=r"(v)); return v; }
static void write_fs(uint64_t v) { __asm__ volatile("wrfsbase %0" : : "r"(v)); }
static void write_gs(uint64_t v) { __asm__ volatile("wrgsbase %0" : : "r"(v)); }

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void enter(ucontext_t *context) {
  const struct setup *setup = &setups[request.setup];
  greg_t *registers = context->uc_mcontext.gregs;
  memcpy(main_registers, registers, sizeof main_registers);
  for (int i = 0; i < 16; i++) registers[order[i]] = (greg_t)request.general[i];
  registers[REG_RIP] = (greg_t)request.rip;
  registers[REG_EFL] = (greg_t)request.flags;
  registers[REG_CSGSFS] = setup->cs | (greg_t)setup->ss << 48;
  uint8_t *area = (uint8_t *)context->uc_mcontext.fpregs;
  if (request.options & FLOATING) memcpy(area, request.floating, 464);
  memset(area + 464, 0, 48); /* no XSAVE area: only what FXRSTOR loads */
  main_fs = read_fs();
  main_gs = read_gs();
  in_guest = 1;
  __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %1, %%fs\n\tmov %2, %%gs" : : "r"((uint32_t)setup->data),
                   "r"((uint32_t)setup->fs), "r"((uint32_t)setup->gs));
  if (setup->cs == 0x33) {
    write_fs(request.fs_base);
    write_gs(request.gs_base);
  }
}

static void leave(int signal, ucontext_t *context) {
  greg_t *registers = context->uc_mcontext.gregs;
  uint8_t *area = (uint8_t *)context->uc_mcontext.fpregs;
  answer.vector = signal == SIGALRM ? 255 : (uint64_t)registers[REG_TRAPNO];
  answer.error = (uint64_t)registers[REG_ERR];
  answer.cr2 = (uint64_t)registers[REG_CR2];
  answer.rip = (uint64_t)registers[REG_RIP];
  answer.flags = (uint64_t)registers[REG_EFL];
  answer.selectors = ((uint64_t)registers[REG_CSGSFS] & 0xFFFF) | ((uint64_t)registers[REG_CSGSFS] >> 48 << 16);
  for (int i = 0; i < 16; i++) answer.general[i] = (uint64_t)registers[order[i]];
  memcpy(answer.floating, area, 512);
  memcpy(registers, main_registers, sizeof main_registers);
  uint16_t control = 0x37F, zero = 0;
  uint32_t mxcsr = 0x1F80;
  memcpy(area, &control, 2);
  memcpy(area + 2, &zero, 2);
  memcpy(area + 4, &zero, 2);
  memcpy(area + 24, &mxcsr, 4);
  memset(area + 464, 0, 48);
  in_guest = 0;
}

__attribute__((optimize("no-stack-protector"))) static void handle(int signal, siginfo_t *info, void *argument) {
  /* A case may have set AC, which the kernel leaves set, and changed FS. */
  __asm__ volatile("pushfq\n\tandl $~0x40000, (%%rsp)\n\tpopfq" : : : "cc", "memory");
  (void)info;
  if (signal == SIGUSR1) {
    enter(argument);
    return;
  }
  if (!in_guest) {
    if (signal == SIGALRM) return;
    static const char message[] = "execute: a fault of its own\n";
    (void)!write(2, message, sizeof message - 1);
    _exit(2);
  }
  answer.fs_base = read_fs();
  answer.gs_base = read_gs();
  write_fs(main_fs);
  write_gs(main_gs);
  leave(signal, argument);
}

static void *map(uint64_t address, size_t length, int protection, int flags, int file) {
  void *at = mmap((void *)address, length, protection, flags | MAP_FIXED_NOREPLACE, file, 0);
  if (at != (void *)address) {
    perror("execute: mmap");
    _exit(1);
  }
  return at;
}

static void set_timer(int microseconds) {
  struct itimerval timer = {{0, microseconds}, {0, microseconds}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

static void execute(void) {
  uint64_t *data = hidden;
  memcpy(data, image, READ_ONLY);
  uint64_t start = setups[request.setup].code_base + request.rip;
  uint64_t fits = CODE + CODE_BYTES - start;
  size_t length = request.code_length < fits ? request.code_length : fits;
  memcpy((void *)start, request.code, length);
  memset(&answer, 0, sizeof answer);
  /* The kernel maps pages at their first touch; here they are to be present. */
  for (unsigned at = 0; at < DATA_BYTES; at += 4096) (void)*(volatile uint8_t *)(DATA + at);
  if (request.options & TIMED) set_timer(20000);
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
  /* A case may have set NT, ID and AC, which the kernel does not touch. */
  __asm__ volatile("pushfq\n\tandl $~0x244000, (%%rsp)\n\tpopfq" : : : "cc", "memory");
  if (request.options & TIMED) set_timer(0);
  /* All of it: code may have written itself. */
  memset((void *)CODE, 0xCC, CODE_BYTES);
  const uint64_t *before = (const uint64_t *)image;
  static uint64_t changed[2 * READ_ONLY / 8];
  for (unsigned i = 0; i < READ_ONLY / 8; i++) {
    if (data[i] != before[i]) {
      changed[2 * answer.changes] = 8 * i;
      changed[2 * answer.changes + 1] = data[i];
      answer.changes++;
    }
  }
  fwrite(&answer, sizeof answer, 1, stdout);
  fwrite(changed, 16, answer.changes, stdout);
  fflush(stdout);
}

int main(void) {
  int file = memfd_create("data", 0);
  if (file < 0 || ftruncate(file, DATA_BYTES) != 0) {
    perror("execute: memfd_create");
    return 1;
  }
  map(CODE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  memset((void *)CODE, 0xCC, CODE_BYTES);
  map(DATA, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  mprotect((void *)(DATA + READ_ONLY), DATA_BYTES - READ_ONLY, PROT_READ);
  map(DATA_ALIAS, READ_ONLY, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  hidden = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  make_segments();
  static uint8_t stack[1 << 17] __attribute__((aligned(64)));
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, NULL);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  static const int signals[] = {SIGUSR1, SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGALRM};
  for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &action, NULL);
  while (fread(&request, sizeof request, 1, stdin) == 1) {
    if (request.kind == MEMORY) {
      if (fread(image, sizeof image, 1, stdin) != 1) return 1;
      memcpy(hidden, image, DATA_BYTES);
    } else {
      execute();
    }
  }
  return 0;
}

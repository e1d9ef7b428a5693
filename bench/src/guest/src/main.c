/* gb - guest benchmark multi-call binary.  usage:
 *   gb list | gb all [scale%] | gb NAME [scale%] | gb cmd NAME prog args...
 *   gb mkdisk FILE MiB  (deterministic test disk) | gb nop
 * prints: BENCH name seconds checksum [extra]        (CLOCK_MONOTONIC) */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
#include <sys/wait.h>
#include "gb.h"
static double t0,t1; static char extra[256]; static const char*current="";
/* The host takes the time too, by when it sees these lines. */
static void mark(const char*what){char l[80];int n=snprintf(l,sizeof l,"%s %s\n",what,current);if(write(1,l,n)!=n)_exit(1);}
static double now(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+t.tv_nsec*1e-9;}
void gb_start(void){mark("START");t0=now();}
void gb_stop(void){t1=now();mark("STOP");}
void gb_extra(const char*f,...){va_list a;va_start(a,f);vsnprintf(extra,sizeof extra,f,a);va_end(a);}
uint64_t gb_fnv(uint64_t h,const void*p,size_t n){const unsigned char*c=p;while(n--){h^=*c++;h*=0x100000001b3ull;}return h;}
uint64_t gb_fnv64(uint64_t h,uint64_t v){return gb_fnv(h,&v,8);}
void gb_die(const char*w){fprintf(stderr,"gb: %s: %s\n",w,strerror(errno));exit(1);}
static const struct{const char*n;gb_fn f;const char*dev;}tab[]={
 {"int_crc32",b_crc32},{"int_qsort1m",b_qsort},{"int_matmul",b_matint},{"int_sieve",b_sieve},
 {"int_sha256",b_sha256},{"int_dhry",b_dhry},{"int_calls",b_calls},
 {"fp_nbody",b_nbody},{"fp_linpack500",b_linpack},{"fp_mandel",b_mandel},{"fp_spectral",b_spectral},
 {"mem_chase64m",b_chase},{"mem_repmovs",b_repmovs},{"mem_repstos",b_repstos},
 {"mem_sse2copy",b_sse2copy},{"mem_sse2set",b_sse2set},{"mem_libc",b_libcmem},
 {"sys_getppid",b_getppid},{"sys_pipe",b_pipe},{"sys_forkexec",b_forkexec},
 {"sys_fault128m",b_pagefault},{"sys_smc",b_selfmod},{"fs_tmpfs",b_tmpfs},
 {"blk_seq",b_blkseq,"/dev/vda"},{"blk_rand4k",b_blkrand,"/dev/vda"}};
#define N (int)(sizeof tab/sizeof*tab)
static void report(const char*n,uint64_t c){
  printf("BENCH %s %.6f %016llx%s%s\n",n,t1-t0,(unsigned long long)c,*extra?" ":"",extra);fflush(stdout);*extra=0;}
static int one(int i,int sc){
  const char*d=getenv("GB_DISK");
  if(tab[i].dev&&access(d?d:tab[i].dev,R_OK))return 0;
  current=tab[i].n;report(tab[i].n,tab[i].f(sc));return 0;}
static int cmd(int c,char**v){           /* gb cmd NAME prog args... : time it, checksum stdout */
  if(c<2)return 2; current=v[0]; int p[2]; if(pipe(p))gb_die("pipe");
  gb_start(); pid_t k=fork(); if(k<0)gb_die("fork");
  if(!k){dup2(p[1],1);close(p[0]);close(p[1]);execvp(v[1],v+1);_exit(127);}
  close(p[1]); static char b[65536]; uint64_t h=FNV0,tot=0; ssize_t r; uint32_t a=1,bb=0;
  while((r=read(p[0],b,sizeof b))>0){ /* adler-like, cheap: keep reader overhead small */
    const uint64_t*w=(uint64_t*)b; ssize_t i=0; (void)a;(void)bb;
    for(;i+8<=r;i+=8)h=(h^*w++)*0x100000001b3ull; for(;i<r;i++)h=(h^(unsigned char)b[i])*0x100000001b3ull; tot+=r;}
  int st; waitpid(k,&st,0); gb_stop(); gb_extra("rc=%d bytes=%llu",WEXITSTATUS(st),(unsigned long long)tot);
  report(v[0],tot<65536?h:tot); return 0;}
static int mkdisk(const char*f,long mib){
  int fd=open(f,O_WRONLY|O_CREAT|O_TRUNC,0644); if(fd<0)gb_die(f);
  static uint64_t b[131072]; uint64_t s=88172645463325252ull;
  for(long m=0;m<mib;m++){for(int i=0;i<131072;i++)b[i]=xs64(&s);if(write(fd,b,1<<20)!=1<<20)gb_die("write");}
  return close(fd);}
int main(int c,char**v){
  if(c<2){fprintf(stderr,"usage: gb list|all|NAME [scale%%]\n");return 2;}
  if(!strcmp(v[1],"nop"))return 0;
  if(!strcmp(v[1],"cmd"))return cmd(c-2,v+2);
  if(!strcmp(v[1],"mkdisk")&&c==4)return mkdisk(v[2],atol(v[3]));
  if(!strcmp(v[1],"list")){for(int i=0;i<N;i++)puts(tab[i].n);return 0;}
  int sc=c>2?atoi(v[2]):getenv("GB_SCALE")?atoi(getenv("GB_SCALE")):100; if(sc<1)sc=1;
  if(!strcmp(v[1],"all")){ /* one fresh process per benchmark */
    for(int i=0;i<N;i++){fflush(stdout);pid_t k=fork();if(!k)exit(one(i,sc));int st;waitpid(k,&st,0);
      if(st)printf("BENCH %s FAIL status=%x\n",tab[i].n,st);}
    return 0;}
  for(int i=0;i<N;i++)if(!strcmp(v[1],tab[i].n))return one(i,sc);
  fprintf(stderr,"gb: no such benchmark %s\n",v[1]);return 2;}

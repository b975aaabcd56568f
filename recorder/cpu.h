/*
 * Instructions that newer x86 processors have, chosen when the program runs.
 *
 * A kernel is written once in C, inlined into a plain function and into one
 * marked CPU_FAST; the caller takes the second if cpu_is_fast(). Elsewhere
 * than on x86-64 both are the same.
 */
#ifndef RECORDER_CPU_H
#define RECORDER_CPU_H

#include <stdbool.h>

#ifdef __x86_64__
#define CPU_FAST __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#define CPU_FAST_DIFFERS true
#else
#define CPU_FAST
#define CPU_FAST_DIFFERS false
#endif

bool cpu_is_fast(void);
/* For tests of the plain functions: says that it is not. */
void cpu_pretend_plain(bool plain);

#endif

/* What the processor can do, asked once. */
#include "recorder/cpu.h"

#include <pthread.h>

#ifdef __x86_64__
#include <cpuid.h>
#define HAS_LZCNT (1u << 5)
#endif

static bool fast, plain;

static void ask(void)
{
#ifdef __x86_64__
	unsigned a, b, c = 0, d;

	__builtin_cpu_init();
	fast = __builtin_cpu_supports("avx2") &&
	       __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") &&
	       __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & HAS_LZCNT);
#endif
}

bool cpu_is_fast(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, ask);
	return fast && !plain;
}

void cpu_pretend_plain(bool set)
{
	plain = set;
}

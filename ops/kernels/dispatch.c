/* Which instruction set to use. Compiled once, for the machine's baseline. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined TLK_HAVE_X86
#include <cpuid.h>
#endif

extern const tlk_kernels tlk_table_portable;
#if defined TLK_HAVE_X86
extern const tlk_kernels tlk_table_avx2;
extern const tlk_kernels tlk_table_avx512;
#elif defined TLK_HAVE_NEON
extern const tlk_kernels tlk_table_neon;
#endif

static const char *const isa_names[TLK_ISA_COUNT] = {
    [TLK_PORTABLE] = "portable",
    [TLK_NEON] = "neon",
    [TLK_AVX2] = "avx2",
    [TLK_AVX512] = "avx512",
};

const tlk_kernels *tlk_get_isa(tlk_isa isa)
{
#if defined TLK_HAVE_X86
    unsigned int eax = 0;
    unsigned int ebx = 0;
    unsigned int ecx = 0;
    unsigned int edx = 0;
    const int f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
    __builtin_cpu_init(); /* asks the operating system's register state too, not only CPUID's feature bits */
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c;
    if (isa == TLK_AVX2 && avx2)
        return &tlk_table_avx2;
    if (isa == TLK_AVX512 && avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &tlk_table_avx512;
#elif defined TLK_HAVE_NEON
    if (isa == TLK_NEON) /* part of every aarch64 */
        return &tlk_table_neon;
#endif
    return isa == TLK_PORTABLE ? &tlk_table_portable : NULL;
}

const tlk_bytes_kernel *tlk_get_bytes(const tlk_kernels *kernels)
{
#if defined TLK_HAVE_X86
    if (kernels->isa == TLK_AVX512 && !__builtin_cpu_supports("avx512vnni"))
        return tlk_table_avx2.bytes;
#endif
    return kernels->bytes;
}

/* Threads that meet here at first use all find the same answer, so it does not matter whose store comes last. */
static _Atomic(const tlk_kernels *) chosen;
static atomic_int forced;

static const tlk_kernels *choose(void)
{
    const tlk_kernels *table = NULL;
    const char *wanted = getenv("TAPLINE_ISA");
    if (wanted != NULL && wanted[0] != '\0') {
        for (int isa = 0; isa < TLK_ISA_COUNT && table == NULL; isa++)
            if (strcmp(wanted, isa_names[isa]) == 0)
                table = tlk_get_isa((tlk_isa)isa);
        atomic_store(&forced, table != NULL ? 1 : -1);
    }
    for (int isa = TLK_ISA_COUNT; table == NULL && isa-- > 0;)
        table = tlk_get_isa((tlk_isa)isa);
    atomic_store_explicit(&chosen, table, memory_order_release);
    return table;
}

const tlk_kernels *tlk_get(void)
{
    const tlk_kernels *table = atomic_load_explicit(&chosen, memory_order_acquire);
    return table != NULL ? table : choose();
}

const char *tlk_isa_name(void)
{
    return isa_names[tlk_get()->isa];
}

int tlk_isa_forced(void)
{
    tlk_get();
    return atomic_load(&forced);
}

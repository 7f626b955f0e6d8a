/* Which instruction set to use. Compiled once, for the machine's baseline. */
#define _GNU_SOURCE /* syscall */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined TLK_HAVE_X86
#include <cpuid.h>
#endif
#if defined TLK_HAVE_X86 && defined __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

extern const tlk_kernels tlk_table_portable;
#if defined TLK_HAVE_X86
extern const tlk_kernels tlk_table_avx2;
extern const tlk_kernels tlk_table_avx512;
extern const tlk_kernels tlk_table_amx;
#elif defined TLK_HAVE_NEON
extern const tlk_kernels tlk_table_neon;
#endif

static const char *const isa_names[TLK_ISA_COUNT] = {
    [TLK_PORTABLE] = "portable", [TLK_NEON] = "neon", [TLK_AVX2] = "avx2", [TLK_AVX512] = "avx512", [TLK_AMX] = "amx",
};

#if defined TLK_HAVE_X86
enum { ASKED = 1, AVX2 = 2, AVX512 = 4, VNNI = 8, AMX = 16, AMD = 32 };

static unsigned ask(void)
{
    const unsigned basic = bit_FMA | bit_F16C | bit_OSXSAVE;
    const unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    unsigned eax, ebx, ecx, edx, saved, high; /* saved: the registers that the operating system keeps for a thread */
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & basic) != basic)
        return ASKED;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved & 0x06) != 0x06 || __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (ebx & bit_AVX2) == 0)
        return ASKED;
    if ((saved & 0xe6) != 0xe6 || (ebx & wide) != wide)
        return ASKED | AVX2;
    const unsigned tiles = 1U << 24 | 1U << 22 | 1U << 25; /* AMX_TILE, AMX_BF16 and AMX_INT8, of many names */
    const unsigned known = ASKED | AVX2 | AVX512 | ((ecx & bit_AVX512VNNI) != 0 ? VNNI : 0) |
                           ((saved & 0x60000) == 0x60000 && (edx & tiles) == tiles ? AMX : 0);
    return __get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0 && ebx == signature_AMD_ebx ? known | AMD : known;
}

/* __builtin_cpu_supports would bring 5 KB of names of processors. */
static bool has(unsigned feature)
{
    static atomic_uint answer;
    unsigned known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == 0) {
        known = ask();
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return (known & feature) != 0;
}

/* The system keeps tiles only for processes that ask for it, once and for all their threads; they cost 8 KB of a
 * thread's memory from its first product on. */
static bool may_have_tiles(void)
{
#if defined __linux__
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of Linux 5.16 */
    return has(AMX) && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}
#endif

const tlk_kernels *tlk_get_isa(tlk_isa isa)
{
#if defined TLK_HAVE_X86
    if (isa == TLK_AVX2 && has(AVX2))
        return &tlk_table_avx2;
    if (isa == TLK_AVX512 && has(AVX512))
        return &tlk_table_avx512;
    if (isa == TLK_AMX && may_have_tiles())
        return &tlk_table_amx;
#elif defined TLK_HAVE_NEON
    if (isa == TLK_NEON) /* part of every aarch64 */
        return &tlk_table_neon;
#endif
    return isa == TLK_PORTABLE ? &tlk_table_portable : NULL;
}

const tlk_bytes_kernel *tlk_get_bytes(const tlk_kernels *kernels)
{
#if defined TLK_HAVE_X86
    if (kernels->isa >= TLK_AVX512 && !has(VNNI))
        return tlk_table_avx2.bytes;
#endif
    return kernels->bytes;
}

bool tlk_shuffles_apart(void)
{
#if defined TLK_HAVE_X86
    return has(AMD);
#else
    return false;
#endif
}

/* Threads that meet here at first use all find the same answer, so it does not matter whose store comes last. */
static _Atomic(const tlk_kernels *) chosen;

static const tlk_kernels *choose(void)
{
    const tlk_kernels *table = NULL;
    const char *wanted = getenv("TAPLINE_ISA");
    for (int isa = 0; wanted != NULL && isa < TLK_ISA_COUNT && table == NULL; isa++)
        if (strcmp(wanted, isa_names[isa]) == 0)
            table = tlk_get_isa((tlk_isa)isa);
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

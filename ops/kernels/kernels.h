/* Kernels: one source each, compiled once per instruction set, reached through a table of functions.
 *
 *     const tlk_kernels *kernels = tlk_get();
 *     kernels->name(arguments);
 *
 * To add a kernel NAME: write it in a source of its own with `void TLK_FN(tlk_NAME)(...)`, declare it by one line in
 * TLK_KERNEL_LIST below, and name the source in CMakeLists.txt. Kernels know nothing of the runtime, allocate nothing
 * and cannot fail; sizes are checked by whoever calls them. They are thread-safe as long as outputs are disjoint.
 */
#ifndef TLK_KERNELS_H
#define TLK_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/bytes.h"
#include "kernels/conv.h"
#include "kernels/doubles.h"
#include "kernels/gemm.h"
#include "kernels/sepconv.h"
#include "kernels/steps.h"
#include "kernels/types.h"
#include "kernels/vmath_list.h"
#include "kernels/whole.h"

typedef enum tlk_isa {
    TLK_PORTABLE, /* what the compiler's baseline for the machine has; 128-bit vectors, never a fused multiply-add */
    TLK_NEON,     /* aarch64 */
    TLK_AVX2,     /* with FMA and F16C */
    TLK_AVX512,   /* with F, BW, DQ and VL */
    TLK_AMX,      /* AVX-512, and products on tiles (tiles.h, bytes_tiles.c) */
    TLK_ISA_COUNT
} tlk_isa;

/* KERNEL(return type, name, (parameters)) */
#define TLK_KERNEL_LIST(KERNEL)                                                                   \
    TLK_VMATH_LIST(KERNEL)                                                                        \
    /* n half-precision numbers to or from float; source and destination may not overlap */       \
    KERNEL(void, f16_to_f32, (const uint16_t *source, float *destination, int64_t n))             \
    KERNEL(void, f32_to_f16, (const float *source, uint16_t *destination, int64_t n))             \
    KERNEL(void, bf16_to_f32, (const uint16_t *source, float *destination, int64_t n))            \
    KERNEL(void, f32_to_bf16, (const float *source, uint16_t *destination, int64_t n))            \
    /* multiply-adds on registers alone, so many rounds of them; returns how many flops it was */ \
    KERNEL(double, multiply_adds, (int64_t rounds))

typedef struct tlk_kernels {
    tlk_isa isa;
    int vector_bytes;
#define TLK_FIELD(type, name, parameters) type(*name) parameters;
    TLK_KERNEL_LIST(TLK_FIELD)
#undef TLK_FIELD
    /* by tlk_type; NULL for half types, but for steps: operators widen them to float */
    const tlk_sepconv_kernel *sepconv[4];
    const tlk_gemm_kernel *gemm[4];
    const tlk_gemm_tiles *gemm_tiles; /* of float; NULL where there are none */
    const tlk_conv_kernel *conv[4];
    const tlk_steps_kernel *steps[4];
    const tlk_whole_kernel *whole;
    const tlk_doubles_kernel *doubles;
    const tlk_bytes_kernel *bytes; /* read it by tlk_get_bytes() */
} tlk_kernels;

/* The table for this CPU: the best instruction set it has, or the one that the environment variable TAPLINE_ISA names
 * (amx, avx512, avx2, neon, portable) when the first call is made, if the CPU has that. Never NULL; the same at every
 * call. Any thread may call it at any time; after the first call it is one load. */
const tlk_kernels *tlk_get(void);

/* The table for one instruction set, NULL if this build or this CPU lacks it. */
const tlk_kernels *tlk_get_isa(tlk_isa isa);

/* The products of bytes of a table. AVX-512's needs an extension of its own; a CPU without it takes AVX2's. */
const tlk_bytes_kernel *tlk_get_bytes(const tlk_kernels *kernels);

/* "amx", "avx512", "avx2", "neon" or "portable": what tlk_get() uses. */
const char *tlk_isa_name(void);

/* Whether the CPU has ports that shuffle 512 bits and do no multiply-adds: AMD's have, while on Intel's all shuffles
 * take turns on one of the two that multiply. Chooses between ways that give the same bits. Any thread may call it at
 * any time; the same at every call. */
bool tlk_shuffles_apart(void);

#endif

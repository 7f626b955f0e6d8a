/* The table of functions of one instruction set. */
#include "kernels/isa.h"

#if defined TLK_ISA_AVX512
#define THIS_ISA TLK_AVX512
#elif defined TLK_ISA_AVX2
#define THIS_ISA TLK_AVX2
#elif defined TLK_ISA_NEON
#define THIS_ISA TLK_NEON
#else
#define THIS_ISA TLK_PORTABLE
#endif

#define TLK_ENTRY(type, name, parameters) .name = TLK_FN(tlk_##name),
#define TLK_REALS(name)                   [TLK_F32] = &TLK_FN(name##_f32), [TLK_F64] = &TLK_RARE_FN(name##_f64)

/* clang-format off */
#define TLK_ENTRIES                         \
    .vector_bytes = TLK_VBYTES,             \
    TLK_KERNEL_LIST(TLK_ENTRY)              \
    .sepconv = {TLK_REALS(tlk_sepconv)},    \
    .gemm = {[TLK_F32] = &TLK_FN(tlk_gemm_f32), [TLK_F64] = &TLK_FN(tlk_gemm_f64)}, \
    .conv = {TLK_REALS(tlk_conv)},          \
    .steps = {TLK_REALS(tlk_steps),         \
              [TLK_F16] = &TLK_RARE_FN(tlk_steps_half), [TLK_BF16] = &TLK_RARE_FN(tlk_steps_half)}, \
    .whole = &TLK_RARE_FN(tlk_whole),       \
    .doubles = &TLK_RARE_FN(tlk_doubles),   \
    .bytes = &TLK_FN(tlk_bytes)

const tlk_kernels TLK_FN(tlk_table) = {.isa = THIS_ISA, TLK_ENTRIES};

#if defined TLK_ISA_AVX512
#pragma GCC diagnostic ignored "-Woverride-init"
#if defined __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
const tlk_kernels tlk_table_amx = {
    .isa = TLK_AMX,
    TLK_ENTRIES,
    .sepconv[TLK_F32] = &tlk_sepconv_f32_amx,
    .conv[TLK_F32] = &tlk_conv_f32_amx,
    .gemm_tiles = &tlk_gemm_tiles_amx,
    .bytes = &tlk_bytes_amx,
};
#endif
/* clang-format on */

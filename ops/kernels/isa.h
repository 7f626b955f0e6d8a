/* Declares every kernel of the list for the instruction set being compiled; each kernel source includes it. */
#ifndef TLK_ISA_H
#define TLK_ISA_H

#include "kernels/kernels.h"
#include "kernels/vec.h"

#define TLK_PROTOTYPE(type, name, parameters) type TLK_FN(tlk_##name) parameters;
TLK_KERNEL_LIST(TLK_PROTOTYPE)
#undef TLK_PROTOTYPE

/* Types other than float take AVX2's code on AVX-512 machines, too: a seventh of the library for what few models use.
 * Only doubles' matrix products, where it would be half as fast, have their own, but for rows and columns that are few
 * and sums on their way out. */
#if defined TLK_ISA_AVX512
#define TLK_RARE_FN(name)            name##_avx2
#define tlk_gemm_few_f64_avx512      tlk_gemm_few_f64_avx2
#define tlk_output_finish_f64_avx512 tlk_output_finish_f64_avx2
#else
#define TLK_RARE_FN(name) TLK_FN(name)
#endif

/* Those of tlk_doubles_kernel, for steps. */
void TLK_FN(tlk_unary_f64)(tlk_unary function, const double *x, double *y, int64_t n);
void TLK_FN(tlk_activate_f64)(const tlk_activation *activation, const double *x, double *y, int64_t n);

extern const tlk_sepconv_kernel TLK_FN(tlk_sepconv_f32), TLK_RARE_FN(tlk_sepconv_f64);
extern const tlk_gemm_kernel TLK_FN(tlk_gemm_f32), TLK_FN(tlk_gemm_f64);
extern const tlk_conv_kernel TLK_FN(tlk_conv_f32), TLK_RARE_FN(tlk_conv_f64);
extern const tlk_steps_kernel TLK_FN(tlk_steps_f32), TLK_RARE_FN(tlk_steps_f64), TLK_RARE_FN(tlk_steps_half);

extern const tlk_whole_kernel TLK_RARE_FN(tlk_whole);
extern const tlk_doubles_kernel TLK_RARE_FN(tlk_doubles);
extern const tlk_bytes_kernel TLK_FN(tlk_bytes);
extern const tlk_kernels TLK_FN(tlk_table);

#if defined TLK_ISA_AVX512
extern const tlk_sepconv_kernel tlk_sepconv_f32_amx;
extern const tlk_conv_kernel tlk_conv_f32_amx;
extern const tlk_gemm_tiles tlk_gemm_tiles_amx;
extern const tlk_bytes_kernel tlk_bytes_amx;
extern const tlk_kernels tlk_table_amx;
#endif

#endif

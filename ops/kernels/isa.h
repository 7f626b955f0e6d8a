/* Declares every kernel of the list for the instruction set being compiled; each kernel source includes it. */
#ifndef TLK_ISA_H
#define TLK_ISA_H

#include "kernels/kernels.h"
#include "kernels/vec.h"

#define TLK_PROTOTYPE(type, name, parameters) type TLK_FN(tlk_##name) parameters;
TLK_KERNEL_LIST(TLK_PROTOTYPE)
#undef TLK_PROTOTYPE

extern const tlk_sepconv_kernel TLK_FN(tlk_sepconv_f32);
extern const tlk_sepconv_kernel TLK_FN(tlk_sepconv_f64);
extern const tlk_sepconv_kernel TLK_FN(tlk_sepconv_f16);
extern const tlk_sepconv_kernel TLK_FN(tlk_sepconv_bf16);

extern const tlk_kernels TLK_FN(tlk_table);

#endif

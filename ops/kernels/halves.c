/* Half-precision numbers to and from float, in bulk. */
#include "kernels/isa.h"
#include "kernels/vec.h"

#define WIDEN(name, convert)                                                                         \
    void TLK_FN(name)(const uint16_t *source, float *destination, int64_t n)                         \
    {                                                                                                \
        int64_t i = 0;                                                                               \
        for (; i + TLK_W <= n; i += TLK_W)                                                           \
            vf_store(destination + i, convert(vh_load(source + i)));                                 \
        if (i < n)                                                                                   \
            vf_store_n(destination + i, convert(vh_load_n(source + i, (int)(n - i))), (int)(n - i)); \
    }
#define NARROW(name, convert)                                                                        \
    void TLK_FN(name)(const float *source, uint16_t *destination, int64_t n)                         \
    {                                                                                                \
        int64_t i = 0;                                                                               \
        for (; i + TLK_W <= n; i += TLK_W)                                                           \
            vh_store(destination + i, convert(vf_load(source + i)));                                 \
        if (i < n)                                                                                   \
            vh_store_n(destination + i, convert(vf_load_n(source + i, (int)(n - i))), (int)(n - i)); \
    }

WIDEN(tlk_f16_to_f32, vf_from_f16)
NARROW(tlk_f32_to_f16, vf_to_f16)
WIDEN(tlk_bf16_to_f32, vf_from_bf16)
NARROW(tlk_f32_to_bf16, vf_to_bf16)

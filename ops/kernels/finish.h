/* What happens to sums on their way out when a clamp in the registers is not all. */
#ifndef TLK_FINISH_H
#define TLK_FINISH_H

#include <math.h>

#include "kernels/activate_f64.h"
#include "kernels/isa.h"
#include "kernels/velem.h"

/* The bounds of an activation that is a clamp; false if it isn't. */
TLK_INLINE bool activation_is_clamp(const tlk_activation *activation, real *low, real *high)
{
    *low = -(real)INFINITY;
    *high = (real)INFINITY;
    if (activation->kind == TLK_RELU)
        *low = 0;
    if (activation->kind == TLK_CLIP) {
        *low = (real)activation->a;
        *high = (real)activation->b;
    }
    return activation->kind <= TLK_CLIP;
}

/* In place, on the first n elements; whole vectors can be read and written. */
static inline void activate(const tlk_activation *activation, real *y, int64_t n)
{
    real low = 0;
    real high = 0;
    if (activation_is_clamp(activation, &low, &high)) {
        for (int64_t i = 0; i < n; i += VW) /* as tlk_block does it */
            v_store(y + i, v_max(v_set1(low), v_min(v_set1(high), v_load(y + i))));
        return;
    }
#if defined TLK_DOUBLE
    tlk_activate_f64(activation, y, n);
#else
    TLK_FN(tlk_activate)(activation, y, y, n);
#endif
}

#endif

/* How one element type is read and written: e_load and its kin give vectors of `real` (see vreal.h), which is double
 * for double and float for all else; e_store rounds to the element type.
 *
 * steps.c is compiled for float, for double, and, with TLK_HALF defined, once for both half types;
 * TLK_ELEMENT_FN(tlk_x) is then tlk_x_half_avx2 and so on. Which half type it is it sees by `type`, which means nothing
 * to the others. The other kernels get floats: operators widen half types for them. */
#ifndef TLK_VELEM_H
#define TLK_VELEM_H

#include "kernels/types.h"
#include "kernels/vreal.h"

#if defined TLK_HALF
typedef uint16_t elem;
#define TLK_ELEMENT_TAG half
#define E_IS_REAL       0
#else
typedef real elem;
#define TLK_ELEMENT_TAG TLK_REAL_TAG
#define E_IS_REAL       1
#endif

#define TLK_ELEMENT_FN(name) TLK_FN(TLK_JOIN(name, TLK_ELEMENT_TAG))

#if E_IS_REAL
#define e_load(type, p)          ((void)(type), v_load(p))
#define e_load_n(type, p, n)     ((void)(type), v_load_n(p, n))
#define e_store(type, p, v)      ((void)(type), v_store(p, v))
#define e_store_n(type, p, v, n) ((void)(type), v_store_n(p, v, n))
#define e_get(type, p)           ((void)(type), *(p))
#else
TLK_INLINE vec e_from(tlk_type type, vech h)
{
    return type == TLK_F16 ? vf_from_f16(h) : vf_from_bf16(h);
}
TLK_INLINE vech e_to(tlk_type type, vec v)
{
    return type == TLK_F16 ? vf_to_f16(v) : vf_to_bf16(v);
}
TLK_INLINE vec e_load(tlk_type type, const elem *p)
{
    return e_from(type, vh_load(p));
}
/* A call each: few elements are at edges. */
#define E_EDGE static TLK_NOINLINE __attribute__((unused))
E_EDGE vec e_load_n(tlk_type type, const elem *p, int n)
{
    return e_from(type, vh_load_n(p, n));
}
TLK_INLINE void e_store(tlk_type type, elem *p, vec v)
{
    vh_store(p, e_to(type, v));
}
E_EDGE void e_store_n(tlk_type type, elem *p, vec v, int n)
{
    vh_store_n(p, e_to(type, v), n);
}
E_EDGE real e_get(tlk_type type, const elem *p)
{
    return e_load_n(type, p, 1)[0];
}
#endif

#endif

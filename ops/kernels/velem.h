/* How one element type is read and written: e_load and its kin give vectors of `real` (see vreal.h), which is double
 * for double and float for all else; e_store rounds to the element type.
 *
 * Sources named in TLK_ELEMENT_SOURCES (CMakeLists.txt) are compiled for each type, with TLK_ELEMENT_F32, _F64, _F16
 * or _BF16 defined; TLK_ELEMENT_FN(tlk_x) is then tlk_x_f16_avx512 and so on. */
#ifndef TLK_VELEM_H
#define TLK_VELEM_H

#include "kernels/types.h"
#include "kernels/vreal.h"

#if defined TLK_ELEMENT_F16
typedef uint16_t elem;
#define TLK_ELEMENT_TAG f16
#define E_IS_REAL       0
#define E_FROM          vf_from_f16
#define E_TO            vf_to_f16
#elif defined TLK_ELEMENT_BF16
typedef uint16_t elem;
#define TLK_ELEMENT_TAG bf16
#define E_IS_REAL       0
#define E_FROM          vf_from_bf16
#define E_TO            vf_to_bf16
#else
typedef real elem;
#define TLK_ELEMENT_TAG TLK_REAL_TAG
#define E_IS_REAL       1
#endif

#define TLK_ELEMENT_FN(name) TLK_FN(TLK_JOIN(name, TLK_ELEMENT_TAG))

#if E_IS_REAL
#define e_load       v_load
#define e_load_range v_load_range
#define e_load_n     v_load_n
#define e_store      v_store
#define e_store_n    v_store_n
TLK_INLINE real e_get(const elem *p)
{
    return *p;
}
#else
TLK_INLINE vec e_load(const elem *p)
{
    return E_FROM(vh_load(p));
}
TLK_INLINE vec e_load_range(const elem *p, int begin, int end)
{
    return E_FROM(vh_load_range(p, begin, end));
}
TLK_INLINE vec e_load_n(const elem *p, int n)
{
    return E_FROM(vh_load_n(p, n));
}
TLK_INLINE void e_store(elem *p, vec v)
{
    vh_store(p, E_TO(v));
}
TLK_INLINE void e_store_n(elem *p, vec v, int n)
{
    vh_store_n(p, E_TO(v), n);
}
TLK_INLINE real e_get(const elem *p)
{
    return E_FROM(vh_load_n(p, 1))[0];
}
#endif

/* p + offset where the sum may lie outside the array, for loads whose lanes all lie inside. */
TLK_INLINE const elem *e_outside(const elem *p, int64_t offset)
{
    return (const elem *)((uintptr_t)p + (uintptr_t)offset * sizeof(elem));
}

#endif

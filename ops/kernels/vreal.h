/* One name for the vectors that a source computes with: float, or double where TLK_DOUBLE is defined.
 *
 * Sources named in TLK_REAL_SOURCES (CMakeLists.txt) are compiled for both; TLK_REAL_FN(tlk_x) is then
 * tlk_x_f32_avx512, tlk_x_f64_avx512 and so on. */
#ifndef TLK_VREAL_H
#define TLK_VREAL_H

#include "kernels/vec.h"

#if defined TLK_DOUBLE
typedef double real;
typedef vecd vec;
typedef vecl vec_mask;
#define VW           TLK_WD
#define TLK_REAL_TAG f64
#define v_load       vd_load
#define v_store      vd_store
#define v_load_range vd_load_range
#define v_load_n     vd_load_n
#define v_store_n    vd_store_n
#define v_zero       vd_zero
#define v_set1       vd_set1
#define v_fma        vd_fma
#define v_min        vd_min
#define v_max        vd_max
#define v_select     vd_select
#define v_even       vd_even
#define v_odd        vd_odd
#else
typedef float real;
typedef vecf vec;
typedef veci vec_mask;
#define VW           TLK_W
#define TLK_REAL_TAG f32
#define v_load       vf_load
#define v_store      vf_store
#define v_load_range vf_load_range
#define v_load_n     vf_load_n
#define v_store_n    vf_store_n
#define v_zero       vf_zero
#define v_set1       vf_set1
#define v_fma        vf_fma
#define v_min        vf_min
#define v_max        vf_max
#define v_select     vf_select
#define v_even       vf_even
#define v_odd        vf_odd
#endif

#define TLK_REAL_FN(name) TLK_FN(TLK_JOIN(name, TLK_REAL_TAG))

#endif

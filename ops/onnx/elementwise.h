/* Element by element: what arithmetic, comparisons, mathematical functions and activations share. */
#ifndef TL_OP_ELEMENTWISE_H
#define TL_OP_ELEMENTWISE_H

#include "kernels/kernels.h"
#include "onnx/convert.h"

/* ---- Broadcasting: prepared in reshape, walked in run */

#define OP_MAP_INPUTS 8

/* How up to OP_MAP_INPUTS inputs lie under an output: axes of size 1 left out, neighbours joined wherever every input
 * allows it. The innermost is a row, on which an input moves along (step 1) or stands still (step 0). Strides are in
 * elements. A unit is a few rows of the axis around, or a part of a long row. */
typedef struct op_map {
    int32_t count; /* of inputs */
    int32_t rank;  /* of the axes around rows and row */
    int32_t step[OP_MAP_INPUTS];
    int64_t dims[TL_MAX_RANK], strides[OP_MAP_INPUTS][TL_MAX_RANK];
    int64_t rows, next[OP_MAP_INPUTS]; /* the axis around a row, and its strides; 1 where a row is cut */
    int64_t row;                       /* elements */
    int64_t high, tile;                /* of a unit: rows, and elements of each */
    int64_t pieces;                    /* units in `rows` rows */
    int64_t units;                     /* of all; 0 if there are no elements */
    int64_t grain;                     /* units in a piece of a parallel loop */
} op_map;

/* Prepares for `count` inputs with dims that broadcast to out's, aligned at the last axis. Does nothing but make the
 * map empty where dims are not known, or the elements of `out` don't fit. `cost` is what an element takes, in units of
 * an addition. */
void op_map_init(op_map *map, const tl_tensor *out, const tl_tensor *const *inputs, int32_t count, int64_t cost);

/* Computes out[at .. at + n) from the inputs, of which input k starts at in[k]; indices of elements. */
typedef void (*op_row)(const void *context, const int64_t *in, int64_t at, int64_t n);
void op_map_run(tl_call *call, const op_map *map, op_row row, const void *context);
/* The same for `rows` rows of n elements, which are neighbours in the output, and map->next[k] apart in input k. */
typedef void (*op_rows)(const void *context, const int64_t *in, int64_t at, int64_t rows, int64_t n);
void op_map_run_rows(tl_call *call, const op_map *map, op_rows rows, const void *context);

/* ---- Operators of two operands */

typedef void (*op_kernel2)(const void *a, const void *b, void *y, int64_t n, const void *parameter);

/* Besides those of the domains, an operator may have kernels for what stands in memory: faster than by way of a domain,
 * to which elements must be converted. That of int32 serves integers of 8 and 16 bits, too, which become int32_t.
 * OP_IN_BYTES serves all types: to it, elements are so many bytes. */
enum { OP_IN_INT32 = OP_DOMAIN_COUNT, OP_IN_UINT8, OP_IN_INT8, OP_IN_BOOL, OP_IN_BYTES, OP_KERNEL_COUNT };

typedef struct op_binary {
    op_kernel2 kernels[OP_KERNEL_COUNT]; /* none for OP_U64: that of OP_I64 */
    bool predicate;                      /* results are bool, and kernels write bytes */
    bool unsigned_too;                   /* the kernel of int32 is right for uint32 */
    bool swapped;                        /* kernels get b and a */
    bool vectorised;                     /* `function` is what kernels[OP_F32] would be */
    tlk_binary function;
} op_binary;

#define OP_PLAN_BINARY sizeof(op_map)

/* The standard's multidirectional broadcasting. */
tl_status op_binary_reshape(tl_call *call);
/* Before version 7: input 1 is broadcast only with the attribute `broadcast`, to where the attribute `axis` says. */
tl_status op_binary_reshape_6(tl_call *call);
tl_status op_binary_run(tl_call *call, const op_binary *binary, const void *parameter);

#define OP_KERNEL2(name, T, R, expression)                                                       \
    static void name(const void *pa, const void *pb, void *py, int64_t n, const void *parameter) \
    {                                                                                            \
        const T *a = pa, *b = pb;                                                                \
        R *y = py;                                                                               \
        (void)parameter;                                                                         \
        OP_INDEPENDENT for (int64_t i = 0; i < n; i++)                                           \
        {                                                                                        \
            const T u = a[i], v = b[i];                                                          \
            y[i] = (R)(expression);                                                              \
        }                                                                                        \
    }

/* ---- Operators of one operand */

typedef void (*op_kernel1)(const void *x, void *y, int64_t n, const void *parameter);

typedef struct op_unary {
    op_kernel1 kernels[OP_KERNEL_COUNT]; /* as those of op_binary */
    bool predicate;                      /* results are bool, and kernels write bytes */
    int64_t cost;                        /* of an element, in units of an addition; 0 counts as 1 */
} op_unary;

/* Input 0 to output 0, of the same shape. */
tl_status op_unary_run(tl_call *call, const op_unary *unary, const void *parameter);

#define OP_KERNEL1(name, T, R, expression)                                       \
    static void name(const void *px, void *py, int64_t n, const void *parameter) \
    {                                                                            \
        const T *x = px;                                                         \
        R *y = py;                                                               \
        (void)parameter;                                                         \
        OP_INDEPENDENT for (int64_t i = 0; i < n; i++)                           \
        {                                                                        \
            const T u = x[i];                                                    \
            y[i] = (R)(expression);                                              \
        }                                                                        \
    }

#endif

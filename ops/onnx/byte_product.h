/* Products of matrices of bytes by the kernels, with zero points: sums of (a - za) * (b - zb), exact and wrapping. */
#ifndef TL_BYTE_PRODUCT_H
#define TL_BYTE_PRODUCT_H

#include "onnx/matrix_batch.h"
#include "onnx/steps.h"

/* The right factor: `matrices` of (depth, n), one after the other. Packed: their panels, and behind all of them the
 * sums of their columns. */
typedef struct byte_right {
    int64_t n, depth, matrices;
    bool is_signed;
    size_t each, size; /* bytes of one packed matrix, and of all with the sums; SIZE_MAX: too many */
} byte_right;

/* By numpy's rules for the right side of a product: a vector is a column. Dimensions must be known. */
byte_right byte_right_of(const tl_tensor *b);
/* create of an operator whose input k is B: its state is B packed, or NULL where B is no constant. */
tl_status byte_create(tl_call *call, size_t k);
/* Packs one matrix, data, as number `matrix`. */
void byte_pack_matrix(const byte_right *right, int64_t matrix, const void *data, void *packed);

typedef struct byte_plan {
    byte_right right;
    int64_t m, a_matrices, rows; /* of one matrix of A; rows of all */
    bool a_signed;
    matrix_batch batch;
    size_t a_each, a, a_sums, row_factors, starts, lanes, b_zeros, b; /* in the workspace */
} byte_plan;

/* In reshape: the plan of a * b = out, of known shapes, and its workspace. `packed`: B is packed already. */
void byte_plan_product(tl_call *call, byte_plan *plan, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out,
                       bool packed);

/* What comes out; see kernels/bytes.h. Zero points are one for all (step 0), or one for each row of all matrices of A,
 * for each column of all of B. Scales and `add` are the same for every matrix of the batch. */
typedef struct byte_result {
    tlk_bytes_form form;
    void *c;
    const int32_t *a_zeros, *b_zeros;
    int64_t a_zero_step, b_zero_step;
    const float *scale;
    int64_t scale_step; /* along columns */
    const float *add;
    int64_t add_row_step;
    const int32_t *bias; /* NULL: none; else added to each column's sums */
    int32_t zero, low, high;
    const steps_program *steps; /* NULL, or what is done to floats, of which the rows are all axes but the last: */
    const steps_place *places;  /* scale and add are then left open */
    size_t first_operand;
} byte_result;

/* `packed` is B as byte_create left it, or NULL: then b is packed here. */
void byte_product_run(tl_call *call, const byte_plan *plan, const void *a, const void *b, const void *packed,
                      const byte_result *result);

/* What a product to floats ends in: a factor and a summand in front of all steps are its scale and add. */
void byte_set_steps(tlk_bytes *product, tlk_steps steps);

/* Bytes that stand for n floats, as DynamicQuantizeLinear makes them. */
void byte_quantize(const float *from, uint8_t *to, int64_t n, float *scale, int32_t *zero);

#endif

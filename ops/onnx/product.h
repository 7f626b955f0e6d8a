/* Products of floating matrices by the kernels: factors are packed, constants once, others in the workspace of a run
 * unless the kernel can as well read them where they are. */
#ifndef TL_PRODUCT_H
#define TL_PRODUCT_H

#include "kernels/kernels.h"
#include "onnx/matrix_batch.h"
#include "onnx/nn.h"

/* How the kernel takes a factor: packed as its left operand, as its right one, or as lines, each along the depth. */
typedef enum product_side { PRODUCT_LEFT, PRODUCT_RIGHT, PRODUCT_LINES } product_side;

/* One side of a product: `matrices` dense matrices of the same shape. Lines are A's rows and B's columns; element k of
 * line i is at i * line_step + k * depth_step. */
typedef struct product_factor {
    int64_t lines, depth, line_step, depth_step;
    int64_t matrices;
    product_side side;
    int64_t pieces; /* of one packed matrix */
    size_t each;    /* bytes of one packed matrix; SIZE_MAX: too many */
} product_factor;

/* The factors of numpy's product: the last two axes are the matrix, a vector is one row (A) or column (B). All
 * dimensions must be known. */
product_factor product_factor_a(const tl_tensor *a, bool transposed);
product_factor product_factor_b(const tl_tensor *b, bool transposed, bool a_transposed);

/* product_factor_b has chosen already, product_set does for A. */
void product_factor_side(product_factor *factor, tl_type type, product_side side);

/* A tensor in the type that is multiplied: a half type is widened to float by whoever calls. */
static inline tl_tensor product_operand(const tl_tensor *tensor)
{
    tl_tensor real = *tensor;
    real.type = nn_is_half(tensor->type) ? TL_FLOAT : tensor->type;
    return real;
}

/* Packs pieces [begin, end) of all matrices one after the other, at `data`. */
void product_pack(const product_factor *factor, tl_type type, const void *data, int64_t begin, int64_t end,
                  void *packed);

typedef struct product_plan {
    tl_type type;
    product_factor a, b;
    size_t a_packed, b_packed; /* in the workspace */
    matrix_batch batch;
} product_plan;

/* One matrix times one matrix; depths agree. */
void product_set(product_plan *plan, tl_type type, product_factor a, product_factor b);
/* The batch of numpy's product; where there is one B for all, A's matrices become the rows of one. */
void product_batch(product_plan *plan, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out);
/* Nothing comes out: then no workspace is asked for, and none may be used. */
bool product_is_empty(const product_plan *plan);
/* Asks for the workspace; B's, unless it is packed already. */
void product_place(tl_call *call, product_plan *plan, bool b_packed);

/* What comes out: c = alpha * a * b + beta * add, of dense matrices one after the other. `add` may be NULL; its steps
 * may be 0; it is the same for every matrix of a batch. */
typedef struct product_result {
    void *c;
    bool transposed; /* c is n by m; without add */
    const void *add;
    int64_t add_row_step, add_column_step;
    double alpha, beta;
    const tlk_step *steps;       /* behind all that; rows and lanes are c's, operands those of matrix 0 */
    const int64_t *matrix_steps; /* of each step's operand, from one matrix of the batch to the next */
    int step_count;
} product_result;
void product_run(tl_call *call, const product_plan *plan, const void *a, const void *b, const void *b_packed,
                 const product_result *result);

#endif

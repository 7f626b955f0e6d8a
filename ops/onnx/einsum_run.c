/* The contractions of Einsum. Numbers are float, double or, for all integers, uint64_t, which wraps as they do. */
#include "kernels/gemm.h"
#include "onnx/convert.h"
#include "onnx/einsum.h"
#include "onnx/gemm.h"
#include "onnx/number.h"

/* A tensor by labels: sizes and strides (in elements of the compute type) of each. */
typedef struct einsum_view {
    int rank;
    int8_t labels[EINSUM_MAX_RANK];
    int64_t dims[EINSUM_MAX_RANK], strides[EINSUM_MAX_RANK];
    const char *data;
} einsum_view;

/* One walk over all contractions: with `memory` it computes, without it only adds up what memory it takes. */
typedef struct einsum_walk {
    tl_call *call;
    const einsum_plan *plan;
    tl_type type; /* compute type: TL_FLOAT, TL_DOUBLE, TL_UINT64 */
    int64_t size; /* of its elements */
    char *memory;
    size_t used;
    bool fits;
} einsum_walk;

static tl_type compute_type(tl_type type)
{
    if (TL_T(type) & (TL_T_HALFS | TL_T(TL_FLOAT)))
        return TL_FLOAT;
    return type == TL_DOUBLE ? TL_DOUBLE : TL_UINT64;
}

static char *take(einsum_walk *walk, int64_t elements)
{
    size_t bytes, at = walk->used;
    if (elements < 0 || __builtin_mul_overflow((size_t)elements, (size_t)walk->size, &bytes) ||
        bytes > SIZE_MAX / 4 - walk->used) {
        walk->fits = false;
        return NULL;
    }
    walk->used += (bytes + 63) & ~(size_t)63;
    return walk->memory ? walk->memory + at : NULL;
}

/* ---- Operands as views */

static void load_integers(const tl_tensor *in, uint64_t *to)
{
    int64_t n = op_elements(in);
    const void *data = in->data;
#define LOAD(TYPE, element)                               \
    case TYPE:                                            \
        for (int64_t i = 0; i < n; i++)                   \
            to[i] = (uint64_t)((const element *)data)[i]; \
        break;
    switch ((int)in->type) {
        OP_CASES_INT32(LOAD)
        LOAD(TL_UINT32, uint32_t)
    default: /* of 64 bits: direct */
        break;
    }
}

/* The low bytes of the wrapped numbers. */
static void store_integers(const tl_tensor *out, const uint64_t *from)
{
    int64_t n = op_elements(out), size = (int64_t)op_type_size(out->type);
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)out->data + i * size, from + i, (size_t)size);
}

static bool is_direct(tl_type type)
{
    return type == compute_type(type) || type == TL_INT64;
}

/* The operand's axes by label: of a label that stands twice the strides add up (the diagonal), and a dimension of 1
 * against a larger one has stride 0. */
static void operand_view(einsum_walk *walk, int k, einsum_view *view)
{
    const tl_tensor *in = walk->call->inputs[k];
    const einsum_term *term = &walk->plan->terms[k];
    int64_t strides[TL_MAX_RANK];
    char *copy = NULL;
    *view = (einsum_view){.data = in->data};
    if (!is_direct(in->type)) {
        copy = take(walk, op_elements(in));
        view->data = copy;
    }
    if (copy && walk->type == TL_FLOAT)
        op_load_floats(in->type, in->data, (float *)copy, op_elements(in));
    else if (copy)
        load_integers(in, (uint64_t *)copy);
    op_strides(in, 1, strides);
    for (int i = 0; i < term->rank; i++) {
        int at = 0;
        while (at < view->rank && view->labels[at] != term->labels[i])
            at++;
        if (at == view->rank) {
            view->labels[view->rank] = term->labels[i];
            view->dims[view->rank] = walk->plan->sizes[(int)term->labels[i]];
            view->strides[view->rank++] = 0;
        }
        view->strides[at] += in->dims[i] == 1 ? 0 : strides[i];
    }
}

static int find_label(const einsum_view *view, int8_t label)
{
    for (int i = 0; i < view->rank; i++)
        if (view->labels[i] == label)
            return i;
    return -1;
}

static int64_t product(const einsum_view *view, int begin, int end)
{
    int64_t n = 1;
    for (int i = begin; i < end; i++)
        if (__builtin_mul_overflow(n, view->dims[i], &n))
            return -1;
    return n;
}

static void add_label(einsum_view *view, int8_t label, int64_t dim)
{
    view->labels[view->rank] = label;
    view->dims[view->rank++] = dim;
}

/* Dense strides for a view's labels in their order. */
static void set_dense(einsum_view *view)
{
    uint64_t stride = 1;
    for (int i = view->rank - 1; i >= 0; i--) {
        view->strides[i] = (int64_t)stride;
        stride *= (uint64_t)view->dims[i];
    }
}

/* ---- Copies, and sums over labels */

static void sum_float(void *to, const void *from, int64_t rows, int64_t n)
{
    tlk_get()->reduce_rows(TLK_SUM, from, to, rows, n, NULL);
}
#define SUM(name, number)                                                 \
    static void name(void *to, const void *from, int64_t rows, int64_t n) \
    {                                                                     \
        for (int64_t r = 0; r < rows; r++) {                              \
            number sum = 0;                                               \
            for (int64_t i = 0; i < n; i++)                               \
                sum += ((const number *)from)[r * n + i];                 \
            ((number *)to)[r] = sum;                                      \
        }                                                                 \
    }
SUM(sum_double, double)
SUM(sum_integer, uint64_t)

/* Brings `from` into the order of to's labels, densely; labels that `from` lacks repeat it. Without a target the data
 * stays where it is, if it is in that order already. */
static void arrange(einsum_walk *walk, const einsum_view *from, einsum_view *to, void *target)
{
    int64_t dims[EINSUM_MAX_RANK], strides[EINSUM_MAX_RANK], bytes[EINSUM_MAX_RANK];
    bool same = true;
    set_dense(to);
    for (int i = 0; i < to->rank; i++) {
        int at = find_label(from, to->labels[i]);
        int64_t stride = at < 0 ? 0 : from->strides[at];
        same = same && (stride == to->strides[i] || to->dims[i] == 1);
        dims[i] = to->dims[i];
        strides[i] = stride * walk->size;
        bytes[i] = to->strides[i] * walk->size;
    }
    to->data = from->data;
    if (same && !target)
        return;
    char *copy = target ? target : take(walk, product(to, 0, to->rank));
    to->data = copy;
    if (!walk->memory || !copy)
        return;
    op_copy prepared;
    op_copy_init(&prepared, (size_t)walk->size, to->rank, dims, bytes, strides);
    op_copy_run(walk->call, &prepared, copy, from->data);
}

/* The view with only the labels of `kept` (which come first, in order), summed over the others. */
static void sum_over(einsum_walk *walk, const einsum_view *from, const einsum_view *kept, einsum_view *to, void *target)
{
    einsum_view all = *kept;
    *to = *kept;
    for (int i = 0; i < from->rank; i++)
        if (find_label(kept, from->labels[i]) < 0)
            add_label(&all, from->labels[i], from->dims[i]);
    if (all.rank == kept->rank) {
        arrange(walk, from, to, target);
        return;
    }
    arrange(walk, from, &all, NULL);
    set_dense(to);
    int64_t rows = product(to, 0, to->rank), n = product(&all, kept->rank, all.rank);
    char *result = target ? target : take(walk, rows);
    to->data = result;
    if (!walk->memory || !result)
        return;
    if (walk->type == TL_FLOAT)
        sum_float(result, all.data, rows, n);
    else if (walk->type == TL_DOUBLE)
        sum_double(result, all.data, rows, n);
    else
        sum_integer(result, all.data, rows, n);
}

/* ---- A contraction of two */

/* C = A B for a batch of dense matrices. Floats go through the packed kernel: operands are packed per batch item, and
 * `swap` computes the transposed product, which is better for few columns. */
typedef struct einsum_product {
    tl_type type;
    const char *a, *b;
    char *c;
    int64_t size, m, n, k;
    bool vector;                   /* B has no labels but those that are summed over, and is not to be packed */
    const tlk_gemm_kernel *kernel; /* NULL: plain loops */
    bool swap;
    char *packed;
    size_t packed_a, packed_b; /* bytes */
    int64_t item;              /* the one that is packed, where threads share it */
} einsum_product;

/* y[row] = the sum of the matrix' row times x: blocks of products, then their sums. A block has several short rows, for
 * which x is repeated, or a part of a long one. */
static void multiply_vector(const float *matrix, const float *x, float *y, int64_t rows, int64_t n)
{
    enum { BLOCK = 1024 };
    const tlk_kernels *kernels = tlk_get();
    float repeated[BLOCK], products[BLOCK], sum;
    if (n == 1) {
        kernels->binary(TLK_MUL, matrix, 1, x, 0, y, rows);
        return;
    }
    int64_t most = n < BLOCK ? BLOCK / n : 1;
    most = rows < most ? rows : most;
    if (most > 1) {
        memcpy(repeated, x, (size_t)n * sizeof *x);
        for (int64_t r = 1; r < most; r *= 2)
            memcpy(repeated + r * n, repeated, (size_t)((2 * r < most ? r : most - r) * n) * sizeof *x);
        x = repeated;
    }
    for (int64_t r = 0; r < rows; r += most) {
        const int64_t count = rows - r < most ? rows - r : most;
        for (int64_t i = 0; i < n; i += BLOCK) {
            const int64_t part = n - i < BLOCK ? n - i : BLOCK;
            kernels->binary(TLK_MUL, matrix + r * n + i, 1, x + i, 1, products, count * part);
            kernels->reduce_rows(TLK_SUM, products, i ? &sum : y + r, count, part, NULL);
            if (i)
                y[r] += sum;
        }
    }
}

/* Rows of the batch of matrix products, counted through. */
static void product_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const einsum_product *job = context;
    (void)thread;
    while (begin < end) {
        int64_t batch = begin / job->m, row = begin % job->m;
        int64_t rows = job->m - row < end - begin ? job->m - row : end - begin;
        gemm_shape shape = {
            .m = rows, .n = job->n, .k = job->k, .a_row = job->k, .a_step = 1, .b_row = job->n, .c_row = job->n};
        const void *a = job->a + (batch * job->m + row) * job->k * job->size;
        const void *b = job->b + batch * job->k * job->n * job->size;
        void *c = job->c + (batch * job->m + row) * job->n * job->size;
        if (job->type == TL_FLOAT && job->vector)
            multiply_vector(a, b, c, rows, job->k);
        else if (job->type == TL_FLOAT)
            gemm_f32(&shape, a, b, c);
        else if (job->type == TL_DOUBLE)
            gemm_f64(&shape, a, b, c);
        else
            gemm_u64(&shape, a, b, c);
        begin += rows;
    }
}

static void pack_item(const einsum_product *job, int64_t item, char *packed)
{
    const tlk_gemm_kernel *kernel = job->kernel;
    const char *a = job->a + item * job->m * job->k * job->size, *b = job->b + item * job->k * job->n * job->size;
    if (job->swap) {
        kernel->pack_a(b, 1, job->n, job->n, job->k, 0, kernel->blocks(job->n), packed);
        kernel->pack_b(a, 1, job->k, job->m, job->k, 0, kernel->panels(job->m), packed + job->packed_a);
    } else {
        kernel->pack_a(a, job->k, 1, job->m, job->k, 0, kernel->blocks(job->m), packed);
        kernel->pack_b(b, job->n, 1, job->n, job->k, 0, kernel->panels(job->n), packed + job->packed_a);
    }
}

static void multiply_blocks(const einsum_product *job, int64_t item, const char *packed, int64_t begin, int64_t end)
{
    tlk_gemm gemm = {.m = job->swap ? job->n : job->m,
                     .n = job->swap ? job->m : job->n,
                     .depth = job->k,
                     .c = job->c + item * job->m * job->n * job->size,
                     .c_row_step = job->swap ? 1 : job->n,
                     .c_column_step = job->swap ? job->n : 1,
                     .alpha = 1,
                     .activation = {.kind = TLK_LINEAR}};
    job->kernel->run(&gemm, packed, packed + job->packed_a, begin, end, 0, job->kernel->panels(gemm.n));
}

static int64_t block_count(const einsum_product *job)
{
    return job->kernel->blocks(job->swap ? job->n : job->m);
}

/* Items of the batch, each thread with its own packed operands. */
static void product_items(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const einsum_product *job = context;
    char *packed = job->packed + (size_t)thread * (job->packed_a + job->packed_b);
    for (int64_t item = begin; item < end; item++) {
        pack_item(job, item, packed);
        multiply_blocks(job, item, packed, 0, block_count(job));
    }
}

/* Blocks of rows of the item that is packed. */
static void product_blocks(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const einsum_product *job = context;
    (void)thread;
    multiply_blocks(job, job->item, job->packed, begin, end);
}

/* Chooses the kernel, and takes memory for packed operands. Labels and the depth decide, but no other size: a batch may
 * be among rows or columns too, and must not change the order of a sum. Over a depth of 1 there is none to order. */
static void choose_kernel(einsum_walk *walk, einsum_product *job)
{
    if (walk->type == TL_UINT64 || job->vector || job->k == 1)
        return;
    job->kernel = tlk_get()->gemm[walk->type == TL_FLOAT ? TLK_F32 : TLK_F64];
    job->swap = job->n < 16 && job->m > job->n;
    job->packed_a = job->kernel->packed_a_size(job->swap ? job->n : job->m, job->k);
    job->packed_b = job->kernel->packed_b_size(job->swap ? job->m : job->n, job->k);
    if (job->packed_a > SIZE_MAX / 4 || job->packed_b > SIZE_MAX / 4) {
        walk->fits = false;
        return;
    }
    job->packed_a = (job->packed_a + 63) & ~(size_t)63;
    job->packed_b = (job->packed_b + 63) & ~(size_t)63;
    size_t bytes;
    if (__builtin_mul_overflow(job->packed_a + job->packed_b, (size_t)walk->call->thread_count, &bytes) ||
        bytes > INT64_MAX / 2)
        walk->fits = false;
    else
        job->packed = take(walk, (int64_t)bytes / walk->size);
}

static void multiply(tl_call *call, einsum_product *job, int64_t items)
{
    const bool parallel = call->thread_count > 1;
    const double each = (double)job->m * (double)job->n * (double)job->k; /* multiplications of an item */
    if (!job->kernel) {
        const int64_t rows = items * job->m, grain = 1 + (int64_t)(65536 / (each / (double)job->m));
        if (parallel && rows > grain)
            call->host->parallel_for(call, product_rows, job, rows, grain);
        else
            product_rows(job, 0, rows, 0);
    } else if (parallel && items < call->thread_count && each > 65536) {
        for (job->item = 0; job->item < items; job->item++) {
            pack_item(job, job->item, job->packed);
            call->host->parallel_for(call, product_blocks, job, block_count(job), 1);
        }
    } else if (parallel && each * (double)items > 65536) {
        call->host->parallel_for(call, product_items, job, items, 1 + (int64_t)(65536 / each));
    } else {
        product_items(job, 0, items, 0);
    }
}

static bool needed(const einsum_plan *plan, int next, int8_t label)
{
    for (int i = 0; i < plan->output.rank; i++)
        if (plan->output.labels[i] == label)
            return true;
    for (int k = next; k < plan->count; k++)
        for (int i = 0; i < plan->terms[k].rank; i++)
            if (plan->terms[k].labels[i] == label)
                return true;
    return false;
}

/* Labels of `view` that the other one has or that are needed later; the rest can be summed over at once. */
static void drop_alone(einsum_walk *walk, int next, const einsum_view *other, einsum_view *view)
{
    einsum_view kept = {.rank = 0}, from = *view;
    for (int i = 0; i < from.rank; i++)
        if (find_label(other, from.labels[i]) >= 0 || needed(walk->plan, next, from.labels[i]))
            add_label(&kept, from.labels[i], from.dims[i]);
    if (kept.rank < from.rank)
        sum_over(walk, &from, &kept, view, NULL);
}

/* Whether a vector meets a matrix whose rows are summed over as they lie. */
static bool sums_rows(const einsum_walk *walk, int next, const einsum_view *vector, const einsum_view *matrix)
{
    for (int i = 0; i < vector->rank; i++)
        if (find_label(matrix, vector->labels[i]) < 0)
            return false;
    return matrix->rank > vector->rank && !needed(walk->plan, next, matrix->labels[matrix->rank - 1]);
}

/* result = sum of a * b over the labels that no one needs after operand `next` - 1. */
static void contract(einsum_walk *walk, int next, einsum_view *a, einsum_view *b, einsum_view *result)
{
    einsum_view left = {.rank = 0}, right = {.rank = 0};
    int batch, m_end;
    drop_alone(walk, next, b, a);
    drop_alone(walk, next, a, b);
    if (sums_rows(walk, next, a, b)) {
        einsum_view *vector = a;
        a = b;
        b = vector;
    }
    *result = (einsum_view){.rank = 0};
    /* In this order: what both have and is needed; rows, which only a has; what both have and is summed over. */
    for (int i = 0; i < a->rank; i++)
        if (find_label(b, a->labels[i]) >= 0 && needed(walk->plan, next, a->labels[i]))
            add_label(&left, a->labels[i], a->dims[i]);
    right = left;
    batch = left.rank;
    for (int i = 0; i < a->rank; i++)
        if (find_label(b, a->labels[i]) < 0)
            add_label(&left, a->labels[i], a->dims[i]);
    m_end = left.rank;
    *result = left;
    for (int i = 0; i < a->rank; i++)
        if (find_label(b, a->labels[i]) >= 0 && find_label(result, a->labels[i]) < 0) {
            add_label(&left, a->labels[i], a->dims[i]);
            add_label(&right, a->labels[i], a->dims[i]);
        }
    int k_end = right.rank;
    for (int i = 0; i < b->rank; i++)
        if (find_label(a, b->labels[i]) < 0) {
            if (result->rank == EINSUM_MAX_RANK) {
                walk->fits = false;
                return;
            }
            add_label(&right, b->labels[i], b->dims[i]);
            add_label(result, b->labels[i], b->dims[i]);
        }
    arrange(walk, a, &left, NULL);
    arrange(walk, b, &right, NULL);
    set_dense(result);
    char *data = take(walk, product(result, 0, result->rank));
    result->data = data;
    if (!walk->fits)
        return;
    einsum_product job = {.type = walk->type,
                          .a = left.data,
                          .b = right.data,
                          .c = data,
                          .size = walk->size,
                          .m = product(&left, batch, m_end),
                          .n = product(&right, k_end, right.rank),
                          .k = product(&left, m_end, left.rank),
                          .vector = k_end == right.rank && (walk->type == TL_FLOAT || batch == m_end)};
    choose_kernel(walk, &job);
    if (walk->memory && walk->fits)
        multiply(walk->call, &job, product(&left, 0, batch));
}

/* ---- All of them */

static void walk_all(einsum_walk *walk)
{
    const einsum_plan *plan = walk->plan;
    const tl_tensor *out = walk->call->outputs[0];
    einsum_view all, next, result, wanted = {.rank = 0};
    operand_view(walk, 0, &all);
    for (int k = 1; k < plan->count && walk->fits; k++) {
        operand_view(walk, k, &next);
        contract(walk, k + 1, &all, &next, &result);
        all = result;
    }
    if (!walk->fits)
        return;
    for (int i = 0; i < plan->output.rank; i++)
        add_label(&wanted, plan->output.labels[i], plan->sizes[(int)plan->output.labels[i]]);
    bool direct = is_direct(out->type);
    void *target = direct ? (walk->memory ? out->data : NULL) : take(walk, product(&wanted, 0, wanted.rank));
    sum_over(walk, &all, &wanted, &result, target);
    if (!walk->memory || direct)
        return;
    if (walk->type == TL_FLOAT)
        op_store_floats(out->type, (const float *)target, out->data, op_elements(out));
    else
        store_integers(out, target);
}

static einsum_walk new_walk(tl_call *call, const einsum_plan *plan)
{
    tl_type type = compute_type(call->inputs[0]->type);
    return (einsum_walk){.call = call, .plan = plan, .type = type, .size = (int64_t)op_type_size(type), .fits = true};
}

static bool any_empty(const tl_call *call)
{
    for (size_t k = 0; k < call->input_count; k++)
        if (op_elements(call->inputs[k]) == 0)
            return true;
    return false;
}

tl_status einsum_prepare(tl_call *call, const einsum_plan *plan)
{
    if (any_empty(call))
        return TL_OK;
    einsum_walk walk = new_walk(call, plan);
    walk_all(&walk);
    if (!walk.fits)
        return tl_fail(call, TL_NO_MEMORY, "the tensors between two inputs are too large");
    call->workspace_size = walk.used + 64;
    return TL_OK;
}

tl_status einsum_compute(tl_call *call, const einsum_plan *plan)
{
    const tl_tensor *out = call->outputs[0];
    if (op_elements(out) == 0)
        return TL_OK;
    if (any_empty(call)) {
        memset(out->data, 0, (size_t)op_bytes(out->type, op_elements(out))); /* sums of nothing */
        return TL_OK;
    }
    einsum_walk walk = new_walk(call, plan);
    walk.memory = call->workspace;
    walk_all(&walk);
    return TL_OK;
}

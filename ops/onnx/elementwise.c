#include "onnx/elementwise.h"

#include "onnx/tensor.h"

#define TILE  4096  /* elements of a row that stay together */
#define LANES 16    /* of whose multiples tiles are, if there are several: a cache line of floats */
#define SHORT 16    /* elements of a row that are fewer than a call is worth */
#define PIECE 32768 /* additions that make a piece of a parallel loop worth it */

/* ---- Maps */

void op_map_init(op_map *map, const tl_tensor *out, const tl_tensor *const *inputs, int32_t count, int64_t cost)
{
    memset(map, 0, sizeof *map);
    if (!op_plannable(out))
        return;
    int64_t dims[TL_MAX_RANK + 1] = {1}, strides[OP_MAP_INPUTS][TL_MAX_RANK + 1] = {{0}};
    int64_t dense[OP_MAP_INPUTS]; /* the next axis' stride, where an input has that axis */
    int64_t all[OP_MAP_INPUTS][TL_MAX_RANK];
    map->count = count;
    for (int32_t k = 0; k < count; k++)
        dense[k] = 1;
    for (int32_t i = out->rank - 1; i >= 0; i--)
        for (int32_t k = 0; k < count; k++) {
            int32_t at = i - (out->rank - inputs[k]->rank);
            int64_t dim = at >= 0 ? inputs[k]->dims[at] : 1;
            all[k][i] = dim == 1 ? 0 : dense[k];
            dense[k] *= dim;
        }
    int32_t last = -1;
    for (int32_t i = 0; i < out->rank; i++) {
        if (out->dims[i] == 1)
            continue;
        bool joins = last >= 0;
        for (int32_t k = 0; k < count && joins; k++)
            joins = strides[k][last] == all[k][i] * out->dims[i];
        if (joins)
            dims[last] *= out->dims[i];
        else
            dims[++last] = out->dims[i];
        for (int32_t k = 0; k < count; k++)
            strides[k][last] = all[k][i];
    }
    if (last < 0) { /* one element */
        last = 0;
        for (int32_t k = 0; k < count; k++)
            strides[k][0] = 1;
    }
    map->row = dims[last];
    for (int32_t k = 0; k < count; k++)
        map->step[k] = (int32_t)strides[k][last];
    map->rows = map->high = 1;
    map->tile = map->row;
    if (map->row > TILE) {
        const int64_t tiles = (map->row - 1) / TILE + 1;
        map->tile = ((map->row - 1) / tiles + LANES) / LANES * LANES;
        map->pieces = (map->row - 1) / map->tile + 1;
    } else {
        if (last > 0) {
            map->rows = dims[--last];
            for (int32_t k = 0; k < count; k++)
                map->next[k] = strides[k][last];
        }
        map->pieces = (map->rows - 1) / (TILE / map->row) + 1;
        map->high = (map->rows - 1) / map->pieces + 1;
        map->pieces = (map->rows - 1) / map->high + 1;
    }
    map->rank = last;
    map->units = map->pieces;
    for (int32_t i = 0; i < last; i++) {
        map->dims[i] = dims[i];
        map->units *= dims[i];
        for (int32_t k = 0; k < count; k++)
            map->strides[k][i] = strides[k][i];
    }
    map->grain = PIECE / (map->high * map->tile * cost);
    if (map->grain < 1)
        map->grain = 1;
}

typedef struct walk {
    const op_map *map;
    op_row row;
    op_rows rows; /* or, where it is not NULL, several at once */
    const void *context;
} walk;

/* `rows` rows of n elements; input k's first one is at in[k], which is lost. */
static void walk_rows(const walk *w, int64_t *in, int64_t at, int64_t rows, int64_t n)
{
    if (w->rows) {
        w->rows(w->context, in, at, rows, n);
        return;
    }
    for (int64_t r = 0; r < rows; r++, at += n) {
        w->row(w->context, in, at, n);
        for (int k = 0; k < w->map->count; k++)
            in[k] += w->map->next[k];
    }
}

static void walk_units(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const walk *w = context;
    const op_map *map = w->map;
    const bool cut = map->tile < map->row;
    int64_t index[TL_MAX_RANK];
    int64_t start[OP_MAP_INPUTS] = {0};
    (void)thread;
    int64_t piece = begin % map->pieces, rest = begin / map->pieces;
    int64_t at = rest * map->rows * map->row;
    for (int32_t i = map->rank - 1; i >= 0; i--) {
        index[i] = rest % map->dims[i];
        rest /= map->dims[i];
        for (int k = 0; k < map->count; k++)
            start[k] += index[i] * map->strides[k][i];
    }
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t first = cut ? 0 : piece * map->high, from = cut ? piece * map->tile : 0;
        const int64_t rows = map->rows - first < map->high ? map->rows - first : map->high;
        const int64_t n = map->row - from < map->tile ? map->row - from : map->tile;
        int64_t in[OP_MAP_INPUTS] = {0};
        for (int k = 0; k < map->count; k++)
            in[k] = start[k] + first * map->next[k] + from * map->step[k];
        walk_rows(w, in, at + first * map->row + from, rows, n);
        if (++piece < map->pieces)
            continue;
        piece = 0;
        at += map->rows * map->row;
        for (int32_t i = map->rank - 1; i >= 0; i--) {
            for (int k = 0; k < map->count; k++)
                start[k] += map->strides[k][i];
            if (++index[i] < map->dims[i])
                break;
            for (int k = 0; k < map->count; k++)
                start[k] -= map->strides[k][i] * map->dims[i];
            index[i] = 0;
        }
    }
}

static void run_walk(tl_call *call, walk w)
{
    const op_map *map = w.map;
    if (map->units == 0) /* no elements */
        return;
    if (map->units <= map->grain || call->thread_count <= 1)
        walk_units(&w, 0, map->units, 0);
    else
        call->host->parallel_for(call, walk_units, &w, map->units, op_even_grain(call, map->units, map->grain));
}

void op_map_run(tl_call *call, const op_map *map, op_row row, const void *context)
{
    run_walk(call, (walk){map, row, NULL, context});
}

void op_map_run_rows(tl_call *call, const op_map *map, op_rows rows, const void *context)
{
    run_walk(call, (walk){map, NULL, rows, context});
}

/* ---- Two operands */

static tl_status plan_binary(tl_call *call, const tl_tensor *const *inputs)
{
    if (call->plan)
        op_map_init(call->plan, call->outputs[0], inputs, 2, 1);
    return TL_OK;
}

tl_status op_binary_reshape(tl_call *call)
{
    tl_status status = op_broadcast(call, call->inputs, 2, call->outputs[0]);
    return status ? status : plan_binary(call, call->inputs);
}

/* The shape of input 1 as it lies under input 0: from `axis` on, with axes of size 1 after its last. */
static tl_status place_second(tl_call *call, tl_tensor *placed)
{
    const tl_tensor *a = call->inputs[0], *b = call->inputs[1];
    *placed = *b;
    if (!op_int(call, "broadcast")) {
        if (b->rank != a->rank)
            return tl_fail(call, TL_INVALID_MODEL, "ranks %d and %d differ, and broadcast is 0", a->rank, b->rank);
        return TL_OK;
    }
    if (!op_given(call, "axis") || b->rank == 0)
        return TL_OK;
    int32_t axis = 0;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), a->rank, &axis);
    if (status)
        return status;
    if (axis + b->rank > a->rank)
        return tl_fail(call, TL_INVALID_MODEL, "axis %d leaves no room for the %d axes of input 1", axis, b->rank);
    placed->rank = a->rank - axis;
    for (int32_t i = b->rank; i < placed->rank; i++)
        placed->dims[i] = 1;
    return TL_OK;
}

tl_status op_binary_reshape_6(tl_call *call)
{
    const tl_tensor *a = call->inputs[0], *b = call->inputs[1];
    tl_tensor *out = call->outputs[0], placed;
    op_copy_shape(out, a);
    if (a->rank == TL_RANK_UNKNOWN || b->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = place_second(call, &placed);
    if (status)
        return status;
    const bool exact = !op_int(call, "broadcast");
    for (int32_t i = 0; i < placed.rank; i++) {
        int32_t at = a->rank - placed.rank + i;
        tl_dim under = at >= 0 ? a->dims[at] : 1, dim = placed.dims[i];
        if (dim >= 0 && under >= 0 && dim != under && (exact || dim != 1))
            return tl_fail(call, TL_INVALID_INPUT,
                           "dimension %d of input 1 is %lld, which does not fit %lld of input 0", i, (long long)dim,
                           (long long)under);
    }
    if (placed.rank > a->rank) { /* only axes of size 1 are too many */
        memmove(placed.dims, placed.dims + (placed.rank - a->rank), (size_t)a->rank * sizeof placed.dims[0]);
        placed.rank = a->rank;
    }
    return plan_binary(call, (const tl_tensor *const[]){a, &placed});
}

/* A kernel for elements as they stand in memory, or else for their domain, or int32_t. */
typedef struct choice {
    size_t kernel;
    int64_t size;   /* of elements that stand as the kernel has them, else 0 */
    int64_t counts; /* for how many of the kernel's an element counts */
    bool by_int32;
} choice;

#define HAS(kernels, k) ((unsigned)((kernels)[k] != NULL) << (k))
#define CHOOSE(kernels, type, unsigned_too)                                                                          \
    choose(type,                                                                                                     \
           HAS(kernels, OP_U64) | HAS(kernels, OP_IN_INT32) | HAS(kernels, OP_IN_UINT8) | HAS(kernels, OP_IN_INT8) | \
               HAS(kernels, OP_IN_BOOL) | HAS(kernels, OP_IN_BYTES),                                                 \
           unsigned_too)

static choice choose(tl_type type, unsigned there, bool unsigned_too)
{
    static const uint8_t in_memory[TL_TYPE_COUNT] = {
        [TL_INT32] = OP_IN_INT32, [TL_UINT8] = OP_IN_UINT8, [TL_INT8] = OP_IN_INT8, [TL_BOOL] = OP_IN_BOOL};
    const uint64_t small = TL_T(TL_INT8) | TL_T(TL_UINT8) | TL_T(TL_INT16) | TL_T(TL_UINT16);
    const int64_t size = (int64_t)op_type_size(type);
    const size_t own = type == TL_UINT32 && unsigned_too ? OP_IN_INT32 : in_memory[type];
    if (there >> OP_IN_BYTES & 1)
        return (choice){.kernel = OP_IN_BYTES, .size = size, .counts = size};
    if (own && there >> own & 1)
        return (choice){.kernel = own, .size = size, .counts = 1};
    if ((small >> type & 1) && (there >> OP_IN_INT32 & 1))
        return (choice){.kernel = OP_IN_INT32, .counts = 1, .by_int32 = true};
    const op_domain domain = op_domain_of(type);
    return (choice){.kernel = domain == OP_U64 && !(there >> OP_U64 & 1) ? OP_I64 : domain,
                    .size = op_is_native(type) ? size : 0,
                    .counts = 1};
}

/* Elements at .. at + n as the kernel wants them. */
static const void *load(const choice *chosen, const tl_tensor *x, int64_t at, int64_t n, op_block *buffer)
{
    const char *from = (const char *)x->data + at * (int64_t)op_type_size(x->type);
    if (chosen->size)
        return from;
    if (!chosen->by_int32)
        return op_load_block(x->type, x->data, at, n, buffer);
    tlk_get()->whole->widen((tlk_number)op_number_of[x->type], from, (int32_t *)buffer, n);
    return buffer;
}

/* Where it may write so many results, and their way from there. */
static void *results(const choice *chosen, bool predicate, const tl_tensor *y, int64_t at, op_block *buffer)
{
    if (predicate)
        return (uint8_t *)y->data + at;
    return chosen->size ? (void *)((char *)y->data + at * chosen->size) : buffer;
}
static void store(const choice *chosen, const tl_tensor *y, int64_t at, int64_t n, const op_block *buffer)
{
    if (chosen->by_int32)
        tlk_get()->whole->narrow((tlk_number)op_number_of[y->type], (const int32_t *)buffer,
                                 (char *)y->data + at * (int64_t)op_type_size(y->type), n);
    else
        op_store_block(y->type, y->data, at, n, buffer);
}

typedef struct pair {
    const op_binary *binary;
    const tlk_kernels *kernels;
    op_kernel2 kernel;
    const void *parameter;
    const tl_tensor *a, *b, *y;
    const int32_t *step; /* of the map */
    const int64_t *next;
    choice chosen;
} pair;

static void float_pairs(const void *context, const int64_t *in, int64_t at, int64_t rows, int64_t n)
{
    const pair *p = context;
    p->kernels->binary_rows(p->binary->function, (const float *)p->a->data + in[0], p->next[0], p->step[0],
                            (const float *)p->b->data + in[1], p->next[1], p->step[1], (float *)p->y->data + at, rows,
                            n);
}

/* Of an operand, elements at .. at + n, or one of them n times. */
static const void *operand(const pair *p, const tl_tensor *x, bool moves, int64_t at, int64_t n, op_block *buffer)
{
    op_block one;
    if (moves)
        return load(&p->chosen, x, at, n, buffer);
    if (!p->chosen.size && !p->chosen.by_int32)
        return op_fill_block(x->type, x->data, at, n, buffer);
    op_fill(buffer, load(&p->chosen, x, at, 1, &one), p->chosen.size ? (size_t)p->chosen.size : sizeof(int32_t), n);
    return buffer;
}

/* Block by block; what stands still is written out once. */
static void any_pair(const void *context, const int64_t *in, int64_t at, int64_t n)
{
    const pair *p = context;
    op_block a_block, b_block, y_block;
    const int64_t size = p->chosen.size, fit = size ? (int64_t)sizeof(op_block) / size : OP_BLOCK;
    const int64_t most = n < fit || (size && p->step[0] && p->step[1]) ? n : fit;
    const void *a = operand(p, p->a, p->step[0] != 0, in[0], most, &a_block);
    const void *b = operand(p, p->b, p->step[1] != 0, in[1], most, &b_block);
    for (int64_t i = 0; i < n; i += most) {
        const int64_t m = n - i < most ? n - i : most;
        if (p->step[0] && i > 0)
            a = operand(p, p->a, true, in[0] + i, m, &a_block);
        if (p->step[1] && i > 0)
            b = operand(p, p->b, true, in[1] + i, m, &b_block);
        void *y = results(&p->chosen, p->binary->predicate, p->y, at + i, &y_block);
        if (p->kernel)
            p->kernel(p->binary->swapped ? b : a, p->binary->swapped ? a : b, y, m * p->chosen.counts, p->parameter);
        else
            p->kernels->binary(p->binary->function, a, 1, b, 1, y, m);
        if (y == &y_block)
            store(&p->chosen, p->y, at + i, m, &y_block);
    }
}

typedef struct joined_rows {
    op_map map;
    tl_tensor still;
    op_block elements;
} joined_rows;

/* Calls for very short rows would cost more than the rows. Where one operand stands still on them, and is the same
 * wherever else they lie, it is written out for all rows along the axis around them, which then are one. */
static bool join_rows(pair *p, const op_map *map, joined_rows *joined)
{
    const int32_t k = map->step[0] != 0;
    const int64_t size = p->chosen.size, row = map->row, rows = map->rows;
    if (rows == 1 || row > SHORT || map->units == 0 || size == 0 ||
        rows * row * size > (int64_t)sizeof joined->elements || map->step[k] != 0 || map->step[!k] != 1 ||
        map->next[!k] != row)
        return false;
    for (int32_t i = 0; i < map->rank; i++)
        if (map->strides[k][i] != 0)
            return false;
    const tl_tensor *still = k ? p->b : p->a;
    for (int64_t i = 0; i < rows; i++)
        op_fill((char *)&joined->elements + i * row * size, (const char *)still->data + i * map->next[k] * size,
                (size_t)size, row);
    joined->still = *still;
    joined->still.data = &joined->elements;
    *(k ? &p->b : &p->a) = &joined->still;
    joined->map = *map;
    joined->map.units /= map->pieces;
    joined->map.rows = joined->map.high = joined->map.pieces = 1;
    joined->map.row = joined->map.tile = rows * row;
    joined->map.grain = PIECE / (rows * row) + 1;
    joined->map.step[k] = 1;
    p->step = joined->map.step;
    return true;
}

tl_status op_binary_run(tl_call *call, const op_binary *binary, const void *parameter)
{
    const op_map *map = call->plan;
    joined_rows joined;
    const tl_type type = call->inputs[0]->type;
    const choice chosen = CHOOSE(binary->kernels, type, binary->unsigned_too);
    pair p = {
        .binary = binary,
        .kernels = tlk_get(),
        .kernel = binary->kernels[chosen.kernel],
        .parameter = parameter,
        .a = call->inputs[0],
        .b = call->inputs[1],
        .y = call->outputs[0],
        .step = map->step,
        .next = map->next,
        .chosen = chosen,
    };
    if (!p.kernel && !(chosen.kernel == OP_F32 && binary->vectorised))
        return tl_fail(call, TL_UNSUPPORTED, "elements of type %d are not there for this operator", (int)type);
    if (join_rows(&p, map, &joined))
        map = &joined.map;
    if (type == TL_FLOAT && binary->vectorised)
        op_map_run_rows(call, map, float_pairs, &p);
    else
        op_map_run(call, map, any_pair, &p);
    return TL_OK;
}

/* ---- One operand */

typedef struct single {
    op_kernel1 kernel;
    const void *parameter;
    const tl_tensor *x, *y;
    bool predicate;
    choice chosen;
    int64_t unit, n;
} single;

static void single_units(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const single *s = context;
    op_block x_block, y_block;
    (void)thread;
    begin *= s->unit;
    end = end * s->unit < s->n ? end * s->unit : s->n;
    const int64_t most = s->chosen.size ? end - begin : OP_BLOCK;
    for (int64_t i = begin; i < end; i += most) {
        const int64_t m = end - i < most ? end - i : most;
        const void *x = load(&s->chosen, s->x, i, m, &x_block);
        void *y = results(&s->chosen, s->predicate, s->y, i, &y_block);
        s->kernel(x, y, m * s->chosen.counts, s->parameter);
        if (y == &y_block)
            store(&s->chosen, s->y, i, m, &y_block);
    }
}

tl_status op_unary_run(tl_call *call, const op_unary *unary, const void *parameter)
{
    const tl_type type = call->inputs[0]->type;
    const choice chosen = CHOOSE(unary->kernels, type, false);
    single s = {
        .kernel = unary->kernels[chosen.kernel],
        .chosen = chosen,
        .parameter = parameter,
        .x = call->inputs[0],
        .y = call->outputs[0],
        .predicate = unary->predicate,
        .n = op_elements(call->inputs[0]),
    };
    if (!s.kernel)
        return tl_fail(call, TL_UNSUPPORTED, "elements of type %d are not there for this operator", (int)type);
    const int64_t cost = unary->cost > 0 ? unary->cost : 1, most = PIECE / cost > OP_BLOCK ? PIECE / cost : OP_BLOCK;
    s.unit = (op_even_grain(call, s.n, most) + OP_BLOCK - 1) / OP_BLOCK * OP_BLOCK;
    const int64_t units = (s.n + s.unit - 1) / s.unit;
    if (units <= 1 || call->thread_count <= 1)
        single_units(&s, 0, units, 0);
    else
        call->host->parallel_for(call, single_units, &s, units, 1);
    return TL_OK;
}

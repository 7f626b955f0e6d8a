#include "onnx/tensor.h"

#define STRIP_BYTES    ((int64_t)1 << 17) /* a long inner axis is cut, so that threads can share it */
#define PARALLEL_BYTES ((int64_t)1 << 16) /* a piece of a parallel loop moves at least this much */
#define LONG_ROW       1024               /* of what is transposed, in elements */
#define MOST_PARTS     64                 /* of such a row: it may be of any length */
#define TILE           16                 /* columns of a transposed tile: a cache line of floats */

unsigned op_type_bits(tl_type type)
{
    static const uint8_t bits[TL_TYPE_COUNT] = {
        [TL_FLOAT] = 32,       [TL_UINT8] = 8,          [TL_INT8] = 8,         [TL_UINT16] = 16,
        [TL_INT16] = 16,       [TL_INT32] = 32,         [TL_INT64] = 64,       [TL_STRING] = 8 * sizeof(tl_string),
        [TL_BOOL] = 8,         [TL_FLOAT16] = 16,       [TL_DOUBLE] = 64,      [TL_UINT32] = 32,
        [TL_UINT64] = 64,      [TL_COMPLEX64] = 64,     [TL_COMPLEX128] = 128, [TL_BFLOAT16] = 16,
        [TL_FLOAT8E4M3FN] = 8, [TL_FLOAT8E4M3FNUZ] = 8, [TL_FLOAT8E5M2] = 8,   [TL_FLOAT8E5M2FNUZ] = 8,
        [TL_UINT4] = 4,        [TL_INT4] = 4,           [TL_FLOAT4E2M1] = 4,   [TL_FLOAT8E8M0] = 8,
        [TL_UINT2] = 2,        [TL_INT2] = 2,           [TL_FLOAT6E2M3] = 8,   [TL_FLOAT6E3M2] = 8,
    };
    return (unsigned)type < TL_TYPE_COUNT ? bits[type] : 0;
}

bool op_shape_known(const tl_tensor *tensor)
{
    if (tensor->rank < 0)
        return false;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] < 0)
            return false;
    return true;
}

tl_status op_axes(const tl_call *call, const int64_t *axes, int64_t count, int32_t rank, int32_t *result)
{
    uint32_t seen = 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t axis = 0;
        tl_status status = op_axis(call, "axis", axes[i], rank, &axis);
        if (status)
            return status;
        if (seen >> axis & 1)
            return tl_fail(call, TL_INVALID_MODEL, "axis %d is named twice", axis);
        seen |= (uint32_t)1 << axis;
        result[i] = axis;
    }
    return TL_OK;
}

tl_status op_check_tuples(const tl_call *call, const tl_tensor *indices, const tl_dim *dims, int64_t tuple)
{
    int64_t n = tuple > 0 ? op_elements(indices) : 0, k = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t index = ((const int64_t *)indices->data)[i];
        if (index < -dims[k] || index >= dims[k])
            return tl_fail(call, TL_INVALID_INPUT, "index %lld (element %lld) is out of range for dimension %lld",
                           (long long)index, (long long)i, (long long)dims[k]);
        k = k + 1 < tuple ? k + 1 : 0;
    }
    return TL_OK;
}

bool op_plannable(const tl_tensor *tensor)
{
    int64_t bytes = 16;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] <= 0 || __builtin_mul_overflow(bytes, tensor->dims[i], &bytes))
            return false;
    return tensor->rank >= 0;
}

void op_strides(const tl_tensor *tensor, size_t element, int64_t *strides)
{
    uint64_t stride = element;
    for (int32_t i = tensor->rank - 1; i >= 0; i--) {
        strides[i] = (int64_t)stride;
        stride *= (uint64_t)tensor->dims[i];
    }
}

void op_rank_from_list(const tl_tensor *list, int32_t more, tl_tensor *out)
{
    out->rank = TL_RANK_UNKNOWN;
    if (list->rank != 1 || list->dims[0] < 0 || list->dims[0] > TL_MAX_RANK - more)
        return;
    out->rank = more + (int32_t)list->dims[0];
    for (int32_t i = 0; i < out->rank; i++)
        out->dims[i] = TL_DIM_UNKNOWN;
}

tl_status op_check_indices(const tl_call *call, const tl_tensor *indices, int64_t limit)
{
    const int64_t n = op_elements(indices);
    uint64_t outside = 0; /* its highest bit */
    for (int64_t i = 0; i < n; i++) {
        const uint64_t index = (uint64_t)op_index(indices, i);
        outside |= (index + (uint64_t)limit) | ((uint64_t)limit - 1 - index);
    }
    for (int64_t i = 0; i < n && outside >> 63; i++) {
        const int64_t index = op_index(indices, i);
        if (index < -limit || index >= limit)
            return tl_fail(call, TL_INVALID_INPUT, "index %lld (element %lld) is out of range for dimension %lld",
                           (long long)index, (long long)i, (long long)limit);
    }
    return TL_OK;
}

/* ---- Preparing a copy */

/* Leaves out axes of length 1 and joins neighbours that are one run on both sides. Returns the new rank, or -1 where
 * there is nothing to copy. */
static int32_t merge_axes(int32_t rank, int64_t *dims, int64_t *to, int64_t *from)
{
    int32_t r = 0;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] == 0)
            return -1;
        if (dims[i] == 1)
            continue;
        if (r > 0 && to[r - 1] == to[i] * dims[i] && from[r - 1] == from[i] * dims[i])
            dims[r - 1] *= dims[i];
        else
            dims[r++] = dims[i];
        to[r - 1] = to[i];
        from[r - 1] = from[i];
    }
    return r;
}

static void remove_axis(op_copy *copy, int32_t axis)
{
    copy->rank--;
    for (int32_t i = axis; i < copy->rank; i++) {
        copy->dims[i] = copy->dims[i + 1];
        copy->to[i] = copy->to[i + 1];
        copy->from[i] = copy->from[i + 1];
    }
}

/* Cuts the inner work into strips, and counts the pieces. */
static void cut(op_copy *copy, int64_t inner, int64_t strip, int64_t strip_bytes)
{
    copy->strip = strip;
    copy->strips = (inner + strip - 1) / strip;
    copy->units = copy->strips;
    for (int32_t i = 0; i < copy->rank; i++)
        copy->units *= copy->dims[i];
    copy->grain = strip_bytes >= PARALLEL_BYTES ? 1 : PARALLEL_BYTES / (strip_bytes > 0 ? strip_bytes : 1);
}

/* A long row of few columns becomes several that are as long, so that threads can share it. */
static void cut_row(op_copy *copy)
{
    const int64_t most = copy->columns > TILE ? 0 : copy->row / LONG_ROW;
    for (int64_t parts = most < MOST_PARTS ? most : MOST_PARTS; parts > 1; parts--) {
        if (copy->row % parts != 0)
            continue;
        copy->row /= parts;
        copy->dims[copy->rank] = parts;
        copy->to[copy->rank] = copy->row * copy->row_to;
        copy->from[copy->rank++] = copy->row * copy->row_from;
        return;
    }
}

void op_copy_init(op_copy *copy, size_t element, int32_t rank, const int64_t *dims, const int64_t *to,
                  const int64_t *from)
{
    int64_t size = (int64_t)element;
    *copy = (op_copy){.kind = OP_COPY_NOTHING};
    for (int32_t i = 0; i < rank; i++) {
        copy->dims[i] = dims[i];
        copy->to[i] = to[i];
        copy->from[i] = from[i];
    }
    int32_t r = merge_axes(rank, copy->dims, copy->to, copy->from);
    if (r < 0)
        return;
    /* A short dense inner axis is one wide element. */
    if (r > 1 && copy->to[r - 1] == size && copy->from[r - 1] == size) {
        int64_t wide = copy->dims[r - 1] * size;
        if (wide == 2 || wide == 4 || wide == 8 || wide == 16) {
            size = wide;
            r--;
        }
    }
    copy->element = size;
    copy->rank = r > 0 ? r - 1 : 0;
    copy->row = r > 0 ? copy->dims[r - 1] : 1;
    copy->row_to = r > 0 ? copy->to[r - 1] : size;
    copy->row_from = r > 0 ? copy->from[r - 1] : size;
    if (copy->row_to == size && copy->row_from == size) {
        copy->kind = OP_COPY_ROWS;
        copy->row *= size;
        int64_t strip = copy->row < STRIP_BYTES ? copy->row : STRIP_BYTES;
        cut(copy, copy->row, strip, strip);
        return;
    }
    for (int32_t k = copy->rank - 1; k >= 0 && copy->row_to == size; k--)
        if (copy->from[k] == size) {
            copy->kind = OP_COPY_TRANSPOSED;
            copy->columns = copy->dims[k];
            copy->column_to = copy->to[k];
            remove_axis(copy, k);
            cut_row(copy);
            int64_t tiles = copy->row < 32 ? 32 / copy->row : 1;
            cut(copy, copy->columns, tiles * TILE, tiles * TILE * copy->row * size);
            return;
        }
    copy->kind = OP_COPY_STRIDED;
    int64_t strip = copy->row < STRIP_BYTES / size ? copy->row : STRIP_BYTES / size;
    cut(copy, copy->row, strip, strip * size);
}

/* ---- The loops. Elements move by memcpy of a constant size, which asks for no alignment. */

#define STRIDED(bytes)                                                                                     \
    static void strided_##bytes(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n) \
    {                                                                                                      \
        for (int64_t i = 0; i < n; i++)                                                                    \
            memcpy(to + i * to_step, from + i * from_step, bytes);                                         \
    }
STRIDED(1)
STRIDED(2)
STRIDED(4)
STRIDED(8)
STRIDED(16)

static void strided(int64_t element, char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n)
{
    switch (element) {
    case 1:
        strided_1(to, to_step, from, from_step, n);
        break;
    case 2:
        strided_2(to, to_step, from, from_step, n);
        break;
    case 4:
        strided_4(to, to_step, from, from_step, n);
        break;
    case 8:
        strided_8(to, to_step, from, from_step, n);
        break;
    default:
        strided_16(to, to_step, from, from_step, n);
        break;
    }
}

/* to[c * column_to + r * element] = from[r * row_from + c * element] for a part of a tile. */
#define TILE_SCALAR(bytes)                                                                                         \
    static void tile_scalar_##bytes(char *to, int64_t column_to, const char *from, int64_t row_from, int64_t rows, \
                                    int64_t columns)                                                               \
    {                                                                                                              \
        for (int64_t r = 0; r < rows; r++)                                                                         \
            for (int64_t c = 0; c < columns; c++)                                                                  \
                memcpy(to + c * column_to + r * (bytes), from + r * row_from + c * (bytes), bytes);                \
    }
TILE_SCALAR(1)
TILE_SCALAR(2)
TILE_SCALAR(4)
TILE_SCALAR(8)
TILE_SCALAR(16)

#if defined __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define HAVE_SHUFFLE 1
#endif
#endif

#ifdef HAVE_SHUFFLE
typedef int16_t lanes8 __attribute__((vector_size(16)));
typedef int32_t lanes4 __attribute__((vector_size(16)));
typedef int64_t lanes2 __attribute__((vector_size(16)));

static inline lanes4 load_16_bytes(const char *from)
{
    lanes4 v;
    memcpy(&v, from, 16);
    return v;
}

/* 4 rows of 4 columns: to 4 addresses. */
static inline void transpose_4(lanes4 a, lanes4 b, lanes4 c, lanes4 d, char *to, int64_t column_to, int64_t columns)
{
    const lanes4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const lanes4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
                 cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
    memcpy(to, &a, 16);
    memcpy(to + column_to, &b, 16);
    if (columns > 2)
        memcpy(to + 2 * column_to, &c, 16);
    if (columns > 3)
        memcpy(to + 3 * column_to, &d, 16);
}

static inline void tile_vector_4(char *to, int64_t column_to, const char *from, int64_t row_from)
{
    transpose_4(load_16_bytes(from), load_16_bytes(from + row_from), load_16_bytes(from + 2 * row_from),
                load_16_bytes(from + 3 * row_from), to, column_to, 4);
}

static inline lanes8 load_8_bytes(const char *from)
{
    lanes2 v = {0, 0};
    int64_t bytes;
    memcpy(&bytes, from, 8);
    v[0] = bytes;
    return (lanes8)v;
}

static inline void tile_vector_2(char *to, int64_t column_to, const char *from, int64_t row_from)
{
    const lanes4 ab =
        (lanes4)__builtin_shufflevector(load_8_bytes(from), load_8_bytes(from + row_from), 0, 8, 1, 9, 2, 10, 3, 11);
    const lanes4 cd = (lanes4)__builtin_shufflevector(load_8_bytes(from + 2 * row_from),
                                                      load_8_bytes(from + 3 * row_from), 0, 8, 1, 9, 2, 10, 3, 11);
    const lanes4 low = __builtin_shufflevector(ab, cd, 0, 4, 1, 5), high = __builtin_shufflevector(ab, cd, 2, 6, 3, 7);
    memcpy(to, &low, 8);
    memcpy(to + column_to, (const char *)&low + 8, 8);
    memcpy(to + 2 * column_to, &high, 8);
    memcpy(to + 3 * column_to, (const char *)&high + 8, 8);
}

/* The same of 2 or 3 columns, as pixels have them: what is read beyond a row lies in the next one. Returns how many
 * rows it has done. */
static int64_t narrow_columns(char *to, int64_t column_to, const char *from, int64_t row_from, int64_t rows,
                              int64_t columns)
{
    int64_t r = 0;
    for (; r + 4 < rows && row_from >= 16 - 4 * columns; r += 4, from += 4 * row_from)
        transpose_4(load_16_bytes(from), load_16_bytes(from + row_from), load_16_bytes(from + 2 * row_from),
                    load_16_bytes(from + 3 * row_from), to + r * 4, column_to, columns);
    return r;
}

/* And of 2 or 3 rows: what is written beyond a column is overwritten by the next one. */
static int64_t narrow_rows(char *to, const char *from, int64_t row_from, int64_t rows, int64_t columns)
{
    int64_t c = 0;
    for (; c + 4 < columns; c += 4, from += 16) {
        const lanes4 first = load_16_bytes(from);
        transpose_4(first, load_16_bytes(from + row_from), rows > 2 ? load_16_bytes(from + 2 * row_from) : first, first,
                    to + c * rows * 4, rows * 4, 4);
    }
    return c;
}

/* 2 rows of 2 columns. */
static inline void tile_vector_8(char *to, int64_t column_to, const char *from, int64_t row_from)
{
    lanes2 a, b;
    memcpy(&a, from, 16);
    memcpy(&b, from + row_from, 16);
    lanes2 low = __builtin_shufflevector(a, b, 0, 2);
    lanes2 high = __builtin_shufflevector(a, b, 1, 3);
    memcpy(to, &low, 16);
    memcpy(to + column_to, &high, 16);
}

/* Rows in panels that make a cache line of the target, so that it is written at once. */
#define TILE_VECTOR(bytes, side)                                                                              \
    static void tile_##bytes(char *to, int64_t column_to, const char *from, int64_t row_from, int64_t rows,   \
                             int64_t columns)                                                                 \
    {                                                                                                         \
        const int64_t whole = rows - rows % (side);                                                           \
        for (int64_t panel = 0; panel < whole; panel += 64 / (bytes)) {                                       \
            const int64_t end = panel + 64 / (bytes) < whole ? panel + 64 / (bytes) : whole;                  \
            int64_t c = 0;                                                                                    \
            for (; c + (side) <= columns; c += (side))                                                        \
                for (int64_t r = panel; r < end; r += (side))                                                 \
                    tile_vector_##bytes(to + c * column_to + r * (bytes), column_to,                          \
                                        from + r * row_from + c * (bytes), row_from);                         \
            tile_scalar_##bytes(to + c * column_to + panel * (bytes), column_to,                              \
                                from + panel * row_from + c * (bytes), row_from, end - panel, columns - c);   \
        }                                                                                                     \
        tile_scalar_##bytes(to + whole * (bytes), column_to, from + whole * row_from, row_from, rows - whole, \
                            columns);                                                                         \
    }
TILE_VECTOR(2, 4)
TILE_VECTOR(4, 4)
TILE_VECTOR(8, 2)

static void tile_any_4(char *to, int64_t column_to, const char *from, int64_t row_from, int64_t rows, int64_t columns)
{
    if (columns == 2 || columns == 3) {
        const int64_t done = narrow_columns(to, column_to, from, row_from, rows, columns);
        tile_scalar_4(to + done * 4, column_to, from + done * row_from, row_from, rows - done, columns);
    } else if ((rows == 2 || rows == 3) && column_to == rows * 4) {
        const int64_t done = narrow_rows(to, from, row_from, rows, columns);
        tile_scalar_4(to + done * column_to, column_to, from + done * 4, row_from, rows, columns - done);
    } else {
        tile_4(to, column_to, from, row_from, rows, columns);
    }
}
#else
#define tile_2     tile_scalar_2
#define tile_any_4 tile_scalar_4
#define tile_8     tile_scalar_8
#endif

static void transposed(const op_copy *copy, char *to, const char *from, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += TILE) {
        int64_t width = columns - c < TILE ? columns - c : TILE;
        char *at = to + c * copy->column_to;
        const char *source = from + c * copy->element;
        switch (copy->element) {
        case 1:
            tile_scalar_1(at, copy->column_to, source, copy->row_from, copy->row, width);
            break;
        case 2:
            tile_2(at, copy->column_to, source, copy->row_from, copy->row, width);
            break;
        case 4:
            tile_any_4(at, copy->column_to, source, copy->row_from, copy->row, width);
            break;
        case 8:
            tile_8(at, copy->column_to, source, copy->row_from, copy->row, width);
            break;
        default:
            tile_scalar_16(at, copy->column_to, source, copy->row_from, copy->row, width);
            break;
        }
    }
}

/* One strip of the inner work. */
static inline void copy_strip(const op_copy *copy, char *to, const char *from, int64_t strip)
{
    int64_t first = strip * copy->strip;
    int64_t inner = copy->kind == OP_COPY_TRANSPOSED ? copy->columns : copy->row;
    int64_t n = inner - first < copy->strip ? inner - first : copy->strip;
    if (copy->kind == OP_COPY_ROWS)
        memcpy(to + first, from + first, (size_t)n);
    else if (copy->kind == OP_COPY_TRANSPOSED)
        transposed(copy, to + first * copy->column_to, from + first * copy->element, n);
    else if (copy->row_from == 0 && copy->row_to == copy->element)
        op_fill(to + first * copy->row_to, from, (size_t)copy->element, n);
    else
        strided(copy->element, to + first * copy->row_to, copy->row_to, from + first * copy->row_from, copy->row_from,
                n);
}

/* Rows of one strip each. Short ones are not worth a call: their last 16 bytes overlap those before. */
static void copy_rows(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t bytes, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++, to += to_step, from += from_step) {
        if (bytes < 16 || bytes > 256) {
            memcpy(to, from, (size_t)bytes);
            continue;
        }
        for (int64_t i = 0; i < bytes - 16; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + bytes - 16, from + bytes - 16, 16);
    }
}

typedef struct copy_job {
    const op_copy *copy;
    char *to;
    const char *from;
} copy_job;

static void copy_units(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const copy_job *job = context;
    const op_copy *copy = job->copy;
    char *to = job->to;
    const char *from = job->from;
    int64_t at[OP_COPY_RANK], rest = begin / copy->strips, strip = begin % copy->strips;
    const int32_t last = copy->rank - 1;
    const bool rows = copy->kind == OP_COPY_ROWS && copy->strips == 1 && last >= 0;
    (void)thread;
    for (int32_t i = last; i >= 0; i--) {
        at[i] = rest % copy->dims[i];
        rest /= copy->dims[i];
        to += at[i] * copy->to[i];
        from += at[i] * copy->from[i];
    }
    for (int64_t unit = begin, done; unit < end; unit += done) {
        done = 1;
        if (rows) {
            const int64_t left = copy->dims[last] - at[last];
            done = left < end - unit ? left : end - unit;
            copy_rows(to, copy->to[last], from, copy->from[last], copy->row, done);
        } else {
            copy_strip(copy, to, from, strip);
            if (++strip < copy->strips)
                continue;
            strip = 0;
        }
        for (int32_t i = last; i >= 0; i--) {
            const int64_t steps = i == last ? done : 1;
            to += steps * copy->to[i];
            from += steps * copy->from[i];
            at[i] += steps;
            if (at[i] < copy->dims[i])
                break;
            to -= at[i] * copy->to[i];
            from -= at[i] * copy->from[i];
            at[i] = 0;
        }
    }
}

void op_copy_run(tl_call *call, const op_copy *copy, void *to, const void *from)
{
    if (copy->kind == OP_COPY_NOTHING)
        return;
    copy_job job = {copy, to, from};
    if (copy->units > copy->grain && call->thread_count > 1)
        call->host->parallel_for(call, copy_units, &job, copy->units, op_even_grain(call, copy->units, copy->grain));
    else
        copy_units(&job, 0, copy->units, 0);
}

void op_copy_rows(tl_call *call, void *to, int64_t to_stride, const void *from, int64_t from_stride, int64_t rows,
                  int64_t bytes)
{
    op_copy copy;
    op_copy_init(&copy, 1, 2, (int64_t[]){rows, bytes}, (int64_t[]){to_stride, 1}, (int64_t[]){from_stride, 1});
    op_copy_run(call, &copy, to, from);
}

void op_copy_bytes(tl_call *call, void *to, const void *from, int64_t bytes)
{
    if (bytes <= PARALLEL_BYTES) {
        if (bytes > 0)
            memcpy(to, from, (size_t)bytes);
        return;
    }
    op_copy copy;
    op_copy_init(&copy, 1, 1, &bytes, (int64_t[]){1}, (int64_t[]){1});
    op_copy_run(call, &copy, to, from);
}

void op_fill(void *to, const void *value, size_t element, int64_t n)
{
    char *at = to;
    if (n <= 0)
        return;
    if (element == 1) {
        memset(at, *(const unsigned char *)value, (size_t)n);
        return;
    }
    /* One block by elements, then copies of what is there, each as long as all before. */
    int64_t bytes = n * (int64_t)element, done = bytes < 256 ? bytes : 256;
    strided((int64_t)element, at, (int64_t)element, value, 0, done / (int64_t)element);
    while (done < bytes) {
        int64_t more = done < bytes - done ? done : bytes - done;
        if (more > 4096)
            more = 4096;
        memcpy(at + done, at, (size_t)more);
        done += more;
    }
}

void op_copy_packed(unsigned bits, int32_t rank, const int64_t *dims, uint8_t *to, const uint8_t *from,
                    const int64_t *from_strides)
{
    int64_t at[TL_MAX_RANK] = {0}, n = 1, source = 0, per_byte = 8 / bits;
    unsigned mask = (1u << bits) - 1;
    for (int32_t i = 0; i < rank; i++)
        n *= dims[i];
    memset(to, 0, (size_t)((n + per_byte - 1) / per_byte));
    for (int64_t k = 0; k < n; k++) {
        unsigned element = from[source / per_byte] >> (unsigned)(source % per_byte) * bits & mask;
        to[k / per_byte] |= (uint8_t)(element << (unsigned)(k % per_byte) * bits);
        for (int32_t i = rank - 1; i >= 0; i--) {
            source += from_strides[i];
            if (++at[i] < dims[i])
                break;
            source -= at[i] * from_strides[i];
            at[i] = 0;
        }
    }
}
